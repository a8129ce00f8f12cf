"""A bundle goes to some boxes first, and to the others if those are well."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.commands.record import sign
from edge.errors import ConfigError, EdgeError
from edge.publish._address import Broker
from tools.mqtt.commands import CommandClient, check_answer, new_command
from tools.rollout.boxes import Box, Boxes

DONE, HAS, LATER = "done", "has it", "from its next start on"
FINE = (DONE, HAS, LATER)
AT_ONCE = 8  # boxes that are asked at the same time
_POLL_S = 0.1
_SHARE = re.compile(r"(\d{1,3})\s*%")


@dataclass(frozen=True)
class Order:
    """What is pushed.

    Attributes:
        file: name of the bundle in the folder `incoming` of each box.
        networks: sha256 of the network files in it.
        key: signs the commands.
        copy: a command line that brings the file, with {file} and {device}; "" = it is there.
        path: the bundle here, for `copy`.
        wait_s: for the answer of a box.
        watch_s: a stage is watched for so long after its last answer.
        most_failures: of a stage, which do not halt.
    """

    file: str
    networks: FrozenSet[str]
    key: Ed25519PrivateKey
    copy: str
    path: Path
    wait_s: float
    watch_s: float
    most_failures: int = 0


@dataclass
class Outcome:
    """What became of the push at one box."""

    device: str
    stage: int
    result: str  # one of FINE, or one line about the failure

    @property
    def fine(self) -> bool:
        """Whether the box has the bundle, and is as well as before."""
        return self.result in FINE


def stages_of(devices: Sequence[str], sizes: Sequence[str]) -> List[List[str]]:
    """Devices of each stage; a size is "5%", a number, or "all", and counts those before.

    The order is that of the names. A share is rounded up, so a canary is one box at least.

    Raises:
        ConfigError: a size is wrong, or smaller than the one before.
    """
    stages: List[List[str]] = []
    reached = 0
    for size in sizes:
        share = _SHARE.fullmatch(size.strip())
        if size.strip() == "all":
            upto = len(devices)
        elif share and 1 <= int(share[1]) <= 100:
            upto = -(-len(devices) * int(share[1]) // 100)
        elif size.strip().isdigit() and int(size) > 0:
            upto = min(int(size), len(devices))
        else:
            raise ConfigError(f"{size!r}: use a share such as 5%, a number of boxes, or all")
        if upto < reached:
            raise ConfigError(f"{size!r}: is less than the stage before")
        stages.append(list(devices[reached:upto]))
        reached = upto
    return [stage for stage in stages if stage]


def push(
    broker: Broker,
    boxes: Boxes,
    stages: Sequence[Sequence[str]],
    order: Order,
    tell: Callable[[str], None],
) -> List[Outcome]:
    """Push stage by stage; stops after a stage with too many failures.

    A box has failed if it refuses, does not answer, restarts, goes offline, loses a camera, or uses
    its former networks again: it has rolled back.

    Args:
        broker: where the boxes are.
        boxes: their live states, settled.
        stages: devices of each stage.
        order: what is pushed.
        tell: is given a line for people about each box and stage.
    """
    outcomes: List[Outcome] = []
    for number, devices in enumerate(stages, 1):
        before = {device: _copy_of(boxes.get(device)) for device in devices}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(partial(_ask, broker, order), before.values()))
        answered = dict(zip(devices, results))
        watched = [device for device in devices if answered[device] == DONE]
        answered.update(_watch(boxes, {d: before[d] for d in watched}, order.watch_s))
        found = [Outcome(device, number, answered[device]) for device in devices]
        outcomes += found
        failed = [one for one in found if not one.fine]
        for one in failed:
            tell(f"{one.device}: {one.result}")
        tell(f"stage {number} of {len(stages)}: {len(found) - len(failed)} of {len(found)} boxes")
        if len(failed) > order.most_failures:
            break
    return outcomes


def _copy_of(box: Box) -> Box:
    return Box(**{**vars(box), "camera_states": dict(box.camera_states)})


def _ask(broker: Broker, order: Order, box: Box) -> str:
    """Bring the bundle to a box and ask it to install; returns the result so far."""
    if not box.online:
        return f"is offline ({box.reason or 'unknown'})"
    if order.networks and order.networks <= box.networks:
        return HAS
    problem = _bring(box.device, order) if order.copy else None
    if problem:
        return problem
    try:
        with CommandClient(broker, box.device) as client:
            args = {"file": order.file}
            command = new_command("update", box.device, args, client.topic, order.wait_s)
            answer = client.ask("update", sign(command, order.key), command["id"], order.wait_s)
        check_answer(answer, "")
    except EdgeError as error:
        return str(error)
    if answer["state"] != "done":
        return f"refused ({answer['reason']}): {answer['detail']}"
    return DONE if answer["result"].get("in_use") == "now" else LATER


def _bring(device: str, order: Order) -> Optional[str]:
    """Run the command line that copies the bundle; returns what went wrong."""
    words = [
        word.replace("{file}", str(order.path)).replace("{device}", device)
        for word in shlex.split(order.copy)
    ]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=3600, encoding="utf-8")
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"--copy: {error}"
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        return f"--copy ended with {done.returncode}: {said[-1]}"
    return None


def _watch(boxes: Boxes, before: Dict[str, Box], watch_s: float) -> Dict[str, str]:
    """Watch boxes for a time; returns what failed, and `DONE` for the others."""
    results: Dict[str, str] = {}
    changed = set()
    end_s = time.monotonic() + watch_s
    while time.monotonic() < end_s and len(results) < len(before):
        for device, was in before.items():
            box = boxes.get(device)
            if box.networks != was.networks:
                changed.add(device)
            problem = _failure(box, was, device in changed)
            if problem:
                results.setdefault(device, problem)
        time.sleep(_POLL_S)
    for device in before:
        if device not in results:
            same = device not in changed
            results[device] = "uses its former networks: it has rolled back" if same else DONE
    return results


def _failure(box: Box, was: Box, changed: bool) -> str:
    """Why a box is worse than before; "" if it is not."""
    if not box.online:
        return f"went offline ({box.reason or 'unknown'})"
    if box.boot_id != was.boot_id:
        return "its program has restarted"
    if changed and box.networks == was.networks:
        return "uses its former networks: it has rolled back"
    lost = [c for c in was.cameras if was.camera_states.get(c) == "ok"]
    lost = [c for c in lost if box.camera_states.get(c) not in ("ok", "starting")]
    return f"camera {lost[0]} is {box.camera_states.get(lost[0])}" if lost else ""
