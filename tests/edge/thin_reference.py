"""Cut the recorded reference data down to the copies in golden/reference.

For maintainers, by hand, where the whole data lies:

    python tests/edge/thin_reference.py REFERENCE_FOLDER

The source of each array is open-mmlab/mmpose, open-mmlab/mmdetection or Tau-J/rtmlib (Apache-2.0).
"""

from __future__ import annotations

import shutil
import sys
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
    kept["192x256_crops"] = z["192x256_crops"][:, ::16]
    kept["row_step"] = np.array(16)
    post = {k: z[k][:1] for k in ("simcc_x", "simcc_y", "post_keypoints", "post_scores")}
    return {**kept, **post}


def rtmdet(z: Arrays) -> Arrays:
    kept = {k: z[k][:1] for k in ("cls_1", "bbox_1", "cls_2", "bbox_2")}
    boxes = {k: z[k][:1, -500:] for k in ("decoded_bboxes", "decoded_scores")}
    return {**kept, **boxes}


def yolox(z: Arrays) -> Arrays:
    kept = {k: z[k][:1] for k in ("bbox_1", "bbox_2")}
    return {**kept, "decoded_bboxes": z["decoded_bboxes"][:1, -845:]}


def rtmo_maps(z: Arrays) -> Arrays:
    return {k: z[k][:1] for k in ("cls_0", "bbox_0", "cls_1", "bbox_1")}


def rtmo_people(z: Arrays) -> Arrays:
    return {k: v for k, v in z.items() if k.startswith("image0_") and "keypoint" not in k}


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
}


def main(source: Path) -> None:
    for name, thin in FILES.items():
        with np.load(source / f"{name}.npz") as z:
            kept = thin(dict(z.items()))
        path = GOLDEN / f"{Path(name).name}.npz"
        np.savez_compressed(path, **kept)
    shutil.copy(source / "rtmlib/image_s0.png", GOLDEN)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
