"""A recorded session: somebody squats by script under the rules action and rom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from edge.loop.assemble import build_rules
from edge.messages import Builder
from edge.recording.ring import Recorder
from edge.rules import Mark, Plan, counting
from edge.settings import config
from edge.structures import CameraState, Frame, PoseEvent
from tests.tools.exercising import seen, times
from tools.templates import shipped

FPS = 20.0
RULES: List[Dict[str, Any]] = [
    {"kind": "action", "template": "squat"},
    {
        "kind": "rom",
        "name": "knees",
        "angle": "knee",
        "goal_deg": 100,
        "reps": 2,
        "max_lean_deg": 60,
    },
]
NOTHING = np.zeros((720, 1280, 3), np.uint8)


def squats(repetitions: int, badly: bool = False) -> np.ndarray:
    """Bodies [T,17,3] m; badly: not down far enough, and both arms raised at the bottom."""
    body = shipped.bodies("squat", times(3.0, repetitions, 1.0, FPS), 0.5)
    if badly:
        down_m = body[0, 11, 2] - body[:, 11, 2]
        body = body[0] + 0.7 * (body - body[0])
        for joints, share in (((7, 8), 0.25), ((9, 10), 0.5)):
            body[:, joints, 2] += share * down_m[:, None]
    return body


def session(folder: Path) -> Tuple[List[PoseEvent], Path, Path]:
    """Warms up without a session, then a session with a plan, a pause in it, and its end.

    Returns:
        The events, the folder of the recording, and a file of messages of the same.
    """
    settings = config.complete(
        config.Config(
            device="hall", cameras=[config.Camera("synthetic://walk", "gym")], rules=RULES
        )
    )
    rules, builder = build_rules(settings, "gym"), Builder("hall")
    recorder = Recorder(folder / "recordings", 64 << 20, builder, lambda: settings, lossless=True)
    lines, told = [], []  # type: ignore[var-annotated]

    def mark(one: Mark) -> None:
        for rule in counting(rules):
            rule.mark(one)
        recorder.session("gym", [rule.names()[0] for rule in counting(rules)], one.table())

    def say(message: Any) -> None:
        payload = json.loads(message.body)
        lines.append(json.dumps({"topic": message.topic, "payload": payload}))

    parts: List[Tuple[Any, np.ndarray]] = [
        (None, squats(1)),
        (Mark("start", "monday", plan=Plan(2, 2)), squats(3)),
        (None, squats(1, badly=True)),
        (Mark("pause"), squats(1)),
        (Mark("resume"), squats(1)),
        (Mark("stop"), squats(1)),
    ]
    index, begin_ns = 0, 0
    for one, body in parts:
        if one is not None:
            mark(one)
        for poses, t_ns in seen(body, FPS, 0.0, 0.0):
            t_ns += begin_ns
            frame = Frame(NOTHING, index, t_ns, "gym")
            say(builder.frame(frame, poses))
            events = [event for rule in rules for event in rule(poses, "gym", t_ns)]
            for event in events:
                say(builder.event(event))
            if events:
                summaries = [rule.summary() for rule in rules]
                say(builder.state(CameraState("gym", "ok", "", t_ns), 1, summaries))
            recorder([frame], [poses])
            told += events
            index += 1
        begin_ns += round(len(body) / FPS * 1e9)
    recorder.close()
    messages = folder / "messages.jsonl"
    messages.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return told, folder / "recordings", messages
