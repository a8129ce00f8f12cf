"""Drawn motion for tests: jointed figures that stand, sit, bend, lie down and fall."""

from typing import Any, Dict, List

import numpy as np

from edge.structures import Poses

# Heights of a body (Drillis and Contini 1966); angles in degrees: torso from upright, forward
# positive; limbs from hanging, forward positive. z = hip height, None = standing on the feet.
POSES = {
    "stand": {"torso": 0, "thigh": 0, "shank": 0, "arm": 0, "z": None},
    "chair": {"torso": 10, "thigh": 85, "shank": 0, "arm": 30, "z": None},
    "shoes": {"torso": 70, "thigh": 85, "shank": 0, "arm": 60, "z": None},
    "squat": {"torso": 40, "thigh": 100, "shank": -35, "arm": 70, "z": None},
    "bend": {"torso": 110, "thigh": 5, "shank": 0, "arm": 30, "z": None},
    "kneel": {"torso": 0, "thigh": 0, "shank": -90, "arm": 0, "z": 0.29},
    "floor": {"torso": -15, "thigh": 90, "shank": 85, "arm": -20, "z": 0.06},
    "back": {"torso": -88, "thigh": 88, "shank": 88, "arm": 60, "z": 0.06},
    "front": {"torso": 88, "thigh": -86, "shank": -88, "arm": 120, "z": 0.06},
    "plank": {"torso": 78, "thigh": -75, "shank": -75, "arm": 0, "z": 0.22},
}


def smooth(u):
    """Deliberate motion: slow, fast, slow."""
    return 3 * u**2 - 2 * u**3


def ballistic(u):
    """Free fall: ever faster, then the floor."""
    return u**2


def act(script, fps=15.0, **view):
    """Poses of a script [(pose, seconds to get there, seconds to stay, ease)], standing first.

    Yields (Poses, t_ns). `view` goes to `draw`.
    """
    rng = np.random.default_rng(view.pop("seed", 0))
    t, now = 0.0, POSES["stand"]
    for name, moving_s, staying_s, ease in [("stand", 0, 1.5, smooth), *script]:
        start, goal = _angles(now), _angles(POSES[name])
        steps = max(round((moving_s + staying_s) * fps), 1)
        for i in range(steps):
            u = min((i + 1) / fps / moving_s, 1.0) if moving_s else 1.0
            yield draw(start + (goal - start) * ease(u), t, rng, **view), round(t * 1e9) + 10**9
            t += 1 / fps
        now = POSES[name]


def _angles(pose):
    thigh, shank = np.radians(pose["thigh"]), np.radians(pose["shank"])
    z = pose["z"]
    if z is None:
        z = 0.039 + 0.245 * np.cos(thigh) + 0.246 * np.cos(shank)
    return np.array([np.radians(pose["torso"]), thigh, shank, np.radians(pose["arm"]), z])


def draw(angles, t, rng, yaw=0.0, pitch=15.0, tall=300.0, noise=0.006, hidden=0.05, who=1, lost=()):
    """One frame: one person, or the same one from N sides as N people.

    Args:
        angles: as of `_angles`.
        t: s.
        rng: of the noise.
        yaw: degrees the person is turned: 0 looks to the right of the picture, 90 away from it.
        pitch: degrees the camera looks down; both numbers, or lists of the same length.
        tall: px of a standing person.
        noise: of every keypoint, in heights.
        hidden: share of keypoints missing at random.
        who: id of the first, or a function of t.
        lost: keypoints that never show: "legs", "torso".
    """
    yaw, pitch = np.atleast_1d(yaw), np.atleast_1d(pitch)
    n = len(yaw)
    across = np.arange(n)[:, None, None] * 5000 * np.array([1, 0])
    keypoints = _project(_figure(*angles), yaw, pitch) * tall + (800, 700) + across
    keypoints = keypoints + rng.normal(size=(n, 17, 2)) * noise * tall
    scores = np.where(rng.random((n, 17)) < hidden, 0.0, rng.uniform(0.5, 1.0, (n, 17)))
    scores[:, [11, 12, 13, 14, 15, 16] if "legs" in lost else []] = 0
    scores[:, [5, 6, 11, 12] if "torso" in lost else []] = 0
    margin = 0.07 * tall
    boxes = np.concatenate((keypoints.min(1) - margin, keypoints.max(1) + margin), 1)
    first = who(t) if callable(who) else who
    ids = np.full(n, -1) if first < 0 else first + np.arange(n)
    return Poses(
        keypoints.astype(np.float32),
        scores.astype(np.float32),
        boxes.astype(np.float32),
        ids,
        np.full(n, 0.9, np.float32),
        "coco17",
    )


def _figure(torso, thigh, shank, arm, z):
    """[17,3] forward, left, up in heights."""
    hip = np.array([0.0, z])
    up = np.array([np.sin(torso), np.cos(torso)])
    shoulder, nose = hip + 0.288 * up, hip + 0.40 * up
    knee = hip + 0.245 * np.array([np.sin(thigh), -np.cos(thigh)])
    ankle = knee + 0.246 * np.array([np.sin(shank), -np.cos(shank)])
    elbow = shoulder + 0.186 * np.array([np.sin(arm), -np.cos(arm)])
    wrist = elbow + 0.146 * np.array([np.sin(arm), -np.cos(arm)])
    rows = [(nose, 0), (nose, 0.02), (nose, -0.02), (nose, 0.045), (nose, -0.045)]
    for point, half in (
        (shoulder, 0.11),
        (elbow, 0.13),
        (wrist, 0.13),
        (hip, 0.08),
        (knee, 0.08),
        (ankle, 0.08),
    ):
        rows += [(point, half), (point, -half)]
    return np.array([(p[0], side, p[1]) for p, side in rows])


def _project(world, yaw, pitch):
    """Parallel projection of [K,3] onto x right, y down, for N views: [N,K,2]."""
    turn, look = np.radians(yaw)[:, None], np.radians(pitch)[:, None]
    across = world[:, 0] * np.cos(turn) + world[:, 1] * np.sin(turn)
    away = world[:, 0] * np.sin(turn) - world[:, 1] * np.cos(turn)
    return np.stack((across, -(world[:, 2] * np.cos(look) + away * np.sin(look))), -1)


def events_of(rule, frames, camera="cam0"):
    """All events of a run."""
    return [event for poses, t_ns in frames for event in rule(poses, camera, t_ns)]


FALLS: Dict[str, List[Any]] = {
    "forward": [("front", 0.7, 6, ballistic)],
    "backward": [("back", 0.7, 6, ballistic)],
    "slump": [("floor", 0.6, 0.2, ballistic), ("back", 0.5, 6, smooth)],
    "trip": [("front", 0.5, 6, ballistic)],
}
DAILY = {
    "stand": [("stand", 0, 8, smooth)],
    "sit": [("chair", 1.0, 5, smooth)],
    "drop into a chair": [("chair", 0.5, 5, smooth)],
    "tie shoes": [("chair", 0.8, 0.5, smooth), ("shoes", 0.7, 6, smooth)],
    "bend": [("bend", 0.8, 4, smooth), ("stand", 0.8, 3, smooth)],
    "bend fast": [("bend", 0.4, 4, smooth), ("stand", 0.4, 3, smooth)],
    "squats": [("squat", 0.5, 0.3, smooth), ("stand", 0.5, 0.3, smooth)] * 5,
    "kneel": [("kneel", 0.8, 5, smooth)],
    "sit on the floor": [("floor", 1.5, 6, smooth)],
    "burpees": [
        ("squat", 0.4, 0.1, smooth),
        ("plank", 0.4, 0.5, smooth),
        ("squat", 0.4, 0.1, smooth),
        ("stand", 0.4, 0.3, smooth),
    ]
    * 4,
}
