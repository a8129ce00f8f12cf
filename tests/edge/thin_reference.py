"""Cut recordings of public reference implementations down to the copies in golden/reference.

The tests read only these copies. Maintainers who have the whole recordings make them by

    python -m tests.edge.thin_reference REFERENCE_FOLDER

The source of each array is open-mmlab/mmpose, open-mmlab/mmdetection or Tau-J/rtmlib (Apache-2.0).
"""

from __future__ import annotations

import json
import shutil
import sys
import zlib
from pathlib import Path
from typing import Callable, Dict

import numpy as np

Arrays = Dict[str, np.ndarray]
GOLDEN = Path(__file__).resolve().parent / "golden" / "reference"


def whole(z: Arrays) -> Arrays:
    return z


def affine(z: Arrays) -> Arrays:
    kept = {k: v[:10] for k, v in z.items() if k.startswith(("192x256", "256x192", "640x640"))}
    sizes = np.array([[192, 256], [256, 192], [640, 640]])
    named = {k: z[k][:10] for k in ("boxes_xyxy", "rotation_deg", "image_points")}
    return {**kept, **named, "input_sizes_wh": sizes, "padding": z["padding"]}


def no_pictures(z: Arrays) -> Arrays:
    return {k: v for k, v in z.items() if not k.startswith("small_image")}


def simcc(z: Arrays) -> Arrays:
    random = {k: v[:, :10] for k, v in z.items() if k.startswith("random_")}
    noisy = {k: v[:1, :6] for k, v in z.items() if k.startswith(("noisy_", "dark_k", "dark_s"))}
    return {
        **random,
        **noisy,
        **{k: z[k] for k in ("simcc_split_ratio", "sigma")},
        "dark_blur_kernel": z["dark_blur_kernel"],
    }


def heatmap(z: Arrays) -> Arrays:
    chosen = [0, 1, 2, 3, 7, 16]
    kept = {k: z[k] for k in ("input_size_wh", "heatmap_size_wh")}
    for name in ("msra", "msra_dark", "udp"):
        kept[f"{name}_heatmaps"] = z[f"{name}_heatmaps"][chosen]
        kept[f"{name}_keypoints"] = z[f"{name}_keypoints"][:, chosen]
        kept[f"{name}_scores"] = z[f"{name}_scores"][:, chosen]
    few = [1, 7]
    maps = z["udp_combined_heatmaps"].reshape(17, 3, 64, 48)[few]
    kept["udp_combined_heatmaps"] = maps.reshape(-1, 64, 48)
    kept["udp_combined_keypoints"] = z["udp_combined_keypoints"][:, few]
    kept["udp_combined_scores"] = z["udp_combined_scores"][:, few]
    return {
        **kept,
        "argmax_locs": z["argmax_locs"][chosen],
        "argmax_vals": z["argmax_vals"][chosen],
    }


def integral(z: Arrays) -> Arrays:
    kept = {k: v[:1, :4] for k, v in z.items() if k.startswith(("logits", "plain", "beta", "debi"))}
    return {**kept, "input_size_wh": z["input_size_wh"]}


def crops(z: Arrays) -> Arrays:
    kept = {k: z[k] for k in ("boxes_xyxy", "mean", "std")}
    for name, step in (("192x256", 16), ("288x384", 64)):
        kept[f"{name}_crops"] = z[f"{name}_crops"][:, ::step]
        kept[f"{name}_row_step"] = np.array(step)
    post = {k: z[k][:1] for k in ("simcc_x", "simcc_y", "post_keypoints", "post_scores")}
    return {**kept, **post}


def rtmdet(z: Arrays) -> Arrays:
    kept = {k: z[k][:1] for k in ("cls_1", "bbox_1", "cls_2", "bbox_2")}
    boxes = {k: z[k][:1, -500:] for k in ("decoded_bboxes", "decoded_scores")}
    return {**kept, **boxes}


def yolox(z: Arrays) -> Arrays:
    kept = {k: z[k][:1] for k in ("bbox_1", "bbox_2")}
    decoded = {"decoded_bboxes": z["decoded_bboxes"][:1, -845:], "priors": z["decoded_priors"]}
    return {**kept, **decoded}


def rtmo_maps(z: Arrays) -> Arrays:
    """The first image; keypoints of the 40 best cells only."""
    maps = {k: z[k][:1] for k in ("cls_0", "bbox_0", "cls_1", "bbox_1")}
    best = np.sort(np.argsort(-z["decoded_scores"][0])[:40])
    names = ("decoded_index", "decoded_keypoints", "decoded_keypoint_scores")
    return {**maps, **{k: z[k][:1, best] for k in names}}


def rtmo_people(z: Arrays) -> Arrays:
    """The first image; keypoints of the 75 best people only."""
    people = {k: v for k, v in z.items() if k.startswith("image0_")}
    for name in ("image0_keypoints", "image0_keypoint_scores"):
        people[name] = people[name][:75]
    return people


def embedding(z: Arrays) -> Arrays:
    """Weak responses become 0 and their tags far off: they decide nothing (checked when made)."""
    kept = {k: v for k, v in z.items() if not k.endswith(("_heatmaps", "_tags", "_wh"))}
    for name in ("ae", "udp"):
        strong = z[f"{name}_heatmaps"] >= 0.05
        kept[f"{name}_heatmaps"] = np.where(strong, z[f"{name}_heatmaps"], np.float32(0))
        kept[f"{name}_tags"] = np.where(strong, z[f"{name}_tags"], np.float32(100))
    return kept


def letterboxes(z: Arrays) -> Arrays:
    """Pixels by their checksum: they must be equal to the last bit."""
    kept = {k: v for k, v in z.items() if k.endswith(("_ratio", "_mean", "_std"))}
    for name in ("yolox_padded_bgr", "rtmdet_padded_bgr", "yolox640_padded_bgr"):
        kept[f"{name}_crc32"] = np.array(zlib.crc32(np.ascontiguousarray(z[name]).tobytes()))
    kept["rtmdet_normalised_every8"] = z["rtmdet_normalised_every4"][::2, ::2]
    return kept


FILES: Dict[str, Callable[[Arrays], Arrays]] = {
    "geometry/topdown_affine_s0": affine,
    "geometry/bottomup_letterbox_s0": no_pictures,
    "geometry/box_conversions_s0": whole,
    "decoders/rtmo_box_s0": whole,
    "decoders/simcc_s0": simcc,
    "decoders/heatmap_s0": heatmap,
    "decoders/integral_regression_s0": integral,
    "networks/rtmdet-nano_person_320x320": rtmdet,
    "networks/yolox-tiny_coco80_416x416": yolox,
    "networks/rtmo-s_coco17_640x640": rtmo_maps,
    "networks/rtmo-s_coco17_640x640.predict": rtmo_people,
    "rtmlib/yolox_postprocess_s0": whole,
    "rtmlib/end2end_postprocess_s0": whole,
    "rtmlib/rtmpose_preprocess_s0": crops,
    "rtmlib/letterbox_s0": letterboxes,
    "decoders/associative_embedding_s0": embedding,
}
TABLES = {
    "coco17": "coco",
    "halpe26": "halpe26",
    "halpe136": "halpe",
    "wholebody133": "coco_wholebody",
}
FACTS = {
    "names": "keypoint_names",
    "edges": "skeleton_edges",
    "flip": "flip_indices",
    "sigmas": "sigmas",
    "upper": "upper_body_ids",
    "lower": "lower_body_ids",
}


def skeleton_tables(source: Path) -> str:
    """The keypoint sets and the conversions between them, one fact a line."""
    tables = {}
    for name, file in TABLES.items():
        table = json.loads((source / f"{file}.json").read_text(encoding="utf-8"))
        tables[name] = {ours: table[theirs] for ours, theirs in FACTS.items()}
    conversions = json.loads((source / "conversions.json").read_text(encoding="utf-8"))
    tables["conversions"] = {k: v["pairs"] for k, v in conversions.items() if "pairs" in v}
    lines = [
        f"  {json.dumps(name)}: {{\n"
        + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in facts.items())
        + "\n  }"
        for name, facts in tables.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(source: Path) -> None:
    for name, thin in FILES.items():
        with np.load(source / f"{name}.npz") as z:
            kept = thin(dict(z.items()))
        path = GOLDEN / f"{Path(name).name}.npz"
        np.savez_compressed(path, **kept)
    shutil.copyfile(source / "rtmlib/image_s0.png", GOLDEN / "image_s0.png")
    (GOLDEN / "skeletons.json").write_text(skeleton_tables(source / "skeletons"), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
