"""Cut recordings of mmpose, mmdetection and xtcocotools down to the copies that the tests read.

Maintainers who have the whole recordings make the copies by

    python -m tests.tools.thin_reference REFERENCE_FOLDER

The source of each array is open-mmlab/mmpose or open-mmlab/mmdetection (Apache-2.0), or, of figures
in golden/metrics, xtcocotools (MIT).
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from tests.tools.arch_rule import WHOLE

METRICS = Path(__file__).parent / "golden" / "metrics"
# Networks whose keys alone are kept: another size of a network whose outputs are kept.
KEYS_ONLY = ("rtmpose-l_wholebody_384x288",)
KEPT = {
    "full": (1, 1, 1, 1),
    "[:, ::8, ::2, ::2]": (1, 8, 2, 2),
    "[:, ::4, ::2, ::2]": (1, 4, 2, 2),
}
MOST = 300  # numbers of an output


def network(source: Path, name: str) -> Dict[str, np.ndarray]:
    """Keys, buffers and thinned outputs of one network."""
    facts = json.loads((source / f"{name}.json").read_text("utf-8"))
    kept = {
        "keys": np.frombuffer(keys_of(facts).encode(), np.uint8),
        "parameters": np.array(facts["parameters"]),
    }
    if name in KEYS_ONLY:
        return kept
    with np.load(source / facts["stored_buffers"]) as stored, np.load(
        source / f"{name}.npz"
    ) as outputs:
        buffers = [stored[k].ravel() for k in facts["state_dict"] if k in stored]
        kept["buffers"] = np.concatenate(buffers)
        kept["size_hw"] = np.array(facts["input"]["shape"][2:])
        kept.update(outputs_of(dict(outputs.items()), facts))
    return kept


def keys_of(facts: Dict[str, Any]) -> str:
    lines = []
    for key, shape in facts["state_dict"].items():
        owner = facts["tied_keys"].get(key)
        lines.append(f"{key} {','.join(map(str, shape))}" + (f" = {owner}" if owner else ""))
    return "\n".join(lines)


def outputs_of(outputs: Dict[str, np.ndarray], facts: Dict[str, Any]) -> Dict[str, np.ndarray]:
    """Outputs with the steps between the numbers that were kept, as `step_NAME`."""
    kept: Dict[str, np.ndarray] = {}
    index = outputs.pop("decoded_index", None)
    if index is not None:  # RTMO's recording holds some cells only
        few = slice(None, None, 20)
        kept["decoded_index"] = index[:, few]
        for name in [n for n in outputs if len(outputs[n].shape) > 1 and is_of_cells(n, index)]:
            kept[name] = outputs.pop(name)[:, few]
    for name, values in outputs.items():
        already = KEPT[facts["outputs"][name]["kept"]][: values.ndim]
        more = steps(values.shape)
        kept[name] = values[tuple(slice(None, None, step) for step in more)]
        kept[f"step_{name}"] = np.multiply(already, more)
    return kept


def is_of_cells(name: str, index: np.ndarray) -> bool:
    return name.startswith("decoded_") and name not in ("decoded_priors", "decoded_strides")


def steps(shape: Tuple[int, ...]) -> List[int]:
    """Steps that leave MOST numbers or fewer; the first axis is the batch."""
    found = [1] * len(shape)
    while np.prod([-(-n // s) for n, s in zip(shape, found)]) > MOST:
        sizes = [-(-n // s) for n, s in zip(shape, found)]
        first = 0 if shape[0] > 2 else 1
        longest = max(range(first, len(shape)), key=lambda i: sizes[i])
        found[longest] += 1
    return found


def wholebody(source: Path) -> None:
    """Truth, predictions before suppression, and the figures of xtcocotools for them."""
    name = "wholebody_ap_case1"
    truth = json.loads((source / f"{name}_gt.json").read_text(encoding="utf-8"))
    results = json.loads((source / f"{name}_dt.json").read_text(encoding="utf-8"))
    expected = json.loads((source / f"{name}_expected.json").read_text(encoding="utf-8"))
    case = {"annotations": truth["annotations"], "expected": expected}
    text = json.dumps(case, separators=(",", ":")).encode()
    (METRICS / "wholebody_case1.json.gz").write_bytes(gzip.compress(text, mtime=0))
    with np.load(source / f"{name}_predictions.npz") as z:
        arrays = dict(z.items())
    arrays.pop("bboxes_xyxy")
    arrays["result_rows"] = np.array([row_of(r, arrays) for r in results])
    arrays["result_scores"] = np.array([r["score"] for r in results])
    np.savez_compressed(METRICS / "wholebody_case1_predictions.npz", **arrays)


def row_of(result: Dict[str, Any], arrays: Dict[str, np.ndarray]) -> int:
    """The prediction that a line of the result file was made of."""
    body = np.array(result["keypoints"]).reshape(-1, 3)
    same = np.abs(arrays["keypoints"][:, :17] - body[:, :2]).max((1, 2)) == 0
    same &= arrays["image_id"] == result["image_id"]
    (row,) = np.flatnonzero(same)
    return int(row)


def main(source: Path) -> None:
    networks = source / "networks"
    for path in sorted(networks.glob("*.json")):
        np.savez_compressed(WHOLE / f"{path.stem}.npz", **network(networks, path.stem))
    wholebody(source / "metrics")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
