"""Rename YOLOX checkpoints of Megvii-BaseDetection/YOLOX: same networks, other key names."""

from __future__ import annotations

import re
from typing import Dict, Mapping

from torch import Tensor

OWN = "backbone.backbone.stem."  # only Megvii's files have keys with this start

# Start of a key there -> start of a key here; then the parts within a layer.
PLACES = {
    "backbone.backbone.stem.": "backbone.stem.",
    "backbone.backbone.dark2.": "backbone.stage1.",
    "backbone.backbone.dark3.": "backbone.stage2.",
    "backbone.backbone.dark4.": "backbone.stage3.",
    "backbone.backbone.dark5.": "backbone.stage4.",
    "backbone.lateral_conv0.": "neck.reduce_layers.0.",
    "backbone.reduce_conv1.": "neck.reduce_layers.1.",
    "backbone.C3_p4.": "neck.top_down_blocks.0.",
    "backbone.C3_p3.": "neck.top_down_blocks.1.",
    "backbone.bu_conv2.": "neck.downsamples.0.",
    "backbone.bu_conv1.": "neck.downsamples.1.",
    "backbone.C3_n3.": "neck.bottom_up_blocks.0.",
    "backbone.C3_n4.": "neck.bottom_up_blocks.1.",
    "head.stems.": "neck.out_convs.",
    "head.cls_convs.": "bbox_head.multi_level_cls_convs.",
    "head.reg_convs.": "bbox_head.multi_level_reg_convs.",
    "head.cls_preds.": "bbox_head.multi_level_conv_cls.",
    "head.reg_preds.": "bbox_head.multi_level_conv_reg.",
    "head.obj_preds.": "bbox_head.multi_level_conv_obj.",
}
CSP = re.compile(r"(stage[123]\.1|stage4\.2|top_down_blocks\.\d|bottom_up_blocks\.\d)\.(\w+)\.")
CSP_PARTS = {"conv1": "main_conv", "conv2": "short_conv", "conv3": "final_conv", "m": "blocks"}
SEPARABLE_PARTS = {".dconv.": ".depthwise_conv.", ".pconv.": ".pointwise_conv."}


def rename(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Megvii's keys as mmdetection's; any other checkpoint is returned unchanged."""
    if not any(key.startswith(OWN) for key in state):
        return dict(state)
    return {_name(key): value for key, value in state.items()}


def _name(key: str) -> str:
    for there, here in PLACES.items():
        if key.startswith(there):
            key = here + key[len(there) :]
            break
    for there, here in SEPARABLE_PARTS.items():
        key = key.replace(there, here)
    return CSP.sub(lambda m: f"{m[1]}.{CSP_PARTS.get(m[2], m[2])}.", key, count=1)
