"""A session from its start to its end: the whole program, its command line and a real broker."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict

import pytest

from edge.__main__ import main as edge
from tests.promises.test_p13_replayed_command import Stranger
from tests.promises.whole_daemon import Daemon, key_pair, settings
from tests.waiting import GIVE_UP_S, until
from tools.__main__ import main as tools

RULES = [{"kind": "rom", "angle": "knee", "name": "slide"}, {"kind": "action", "template": "squat"}]


def summaries(stranger: Stranger, wanted: Dict[str, Any], contract: Any) -> None:
    """Waits until the retained state says this of the session of every rule."""
    end = time.monotonic() + GIVE_UP_S
    while time.monotonic() < end:
        state = stranger.wait_for("/state")
        contract("poses/v1/hall/door/state", state)
        told = {name: rule["data"] for name, rule in state["rules"].items()}
        if {
            n: (d["session"], d.get("paused", False), d["plan"]) for n, d in told.items()
        } == wanted:
            return
    pytest.fail(f"the state never said {wanted}")


def test_a_session_is_started_paused_and_ended(
    broker: Any, tmp_path: Path, contract: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `edge session` on the box, and by a signed command through the broker."""
    key_pair(tmp_path)
    commands = {"allow": ["session"], "key_file": str(tmp_path / "operator.pub"), "local": True}
    table = settings(tmp_path, [broker.uri], commands=commands, rules=RULES)
    stranger = Stranger(broker.port)
    config = str(tmp_path / "edge.toml")

    def local(*arguments: str) -> Dict[str, Any]:
        code = edge(["session", *arguments, "--config", config, "--json"])
        answer: Dict[str, Any] = json.loads(capsys.readouterr().out)
        assert code == answer["exit_code"]
        return answer

    with Daemon(tmp_path, table) as daemon:
        stranger.wait_for("/frame")
        summaries(stranger, {"slide": ("", False, ""), "squat": ("", False, "")}, contract)
        answer = local("start", "--name", "monday", "--plan", "3x10")
        assert answer["result"]["rules"] == "slide,squat"
        plan = "3 x 10"
        wanted = {"slide": ("monday", False, plan), "squat": ("monday", False, plan)}
        summaries(stranger, wanted, contract)
        signed = ["--device", "hall", "--broker", broker.uri, "--key", f"{tmp_path}/operator.key"]
        assert tools(["command", "session", "action=pause", "rule=squat", *signed]) == 0
        wanted["squat"] = ("monday", True, plan)
        summaries(stranger, wanted, contract)
        capsys.readouterr()
        assert "rule: no 'run'" in local("start", "--rule", "run")["detail"]
        assert edge(["session", "start", "--rule", "run", "--config", config]) == 78
        assert "rule: no 'run' that counts" in capsys.readouterr().err
        args = ["--template", "lunge", "--camera", "door", "--place", "100,100"]
        assert local("start", "--name", "late", *args)["state"] == "done"
        late = {"slide": ("monday", False, plan), "lunge": ("late", False, "")}
        summaries(stranger, late, contract)
        assert edge(["session", "stop", "--config", config]) == 0
        assert "cameras=door rules=slide,squat" in capsys.readouterr().out
        summaries(stranger, {"slide": ("", False, ""), "squat": ("", False, "")}, contract)
        assert daemon.stop() == 0
    stranger.close()
    assert edge(["session", "stop", "--config", config]) == 69
    assert "commands.local = true" in capsys.readouterr().err
    until(lambda: not list(tmp_path.rglob("local.sock")), "the socket's end")
