"""Poses as CVAT's XML "for images" with skeletons, and the label definition of a CVAT task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence
from xml.etree import ElementTree

from edge.durable import READABLE, write_whole

_COLOURS = {"left": "#2ca02c", "right": "#ff7f0e"}


def write(path: Path, coco: Dict[str, Any]) -> None:
    """Write annotations.xml of the content that labels.coco.table gives."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    names: List[str] = coco["categories"][0]["keypoints"]
    by_image: Dict[int, List[Dict[str, Any]]] = {}
    for row in coco["annotations"]:
        by_image.setdefault(row["image_id"], []).append(row)
    for image in coco["images"]:
        node = ElementTree.SubElement(
            root,
            "image",
            id=str(image["id"] - 1),
            name=image["file_name"],
            width=str(image["width"]),
            height=str(image["height"]),
        )
        for group, row in enumerate(by_image.get(image["id"], []), 1):
            _person(node, row, names, group)
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    write_whole(path, text, READABLE)


def _person(
    node: ElementTree.Element, row: Dict[str, Any], names: Sequence[str], group: int
) -> None:
    """A skeleton and its box, grouped: CVAT's box of a skeleton alone is the points' hull."""
    x, y, wide, high = row["bbox"]
    ends = {"xtl": x, "ytl": y, "xbr": x + wide, "ybr": y + high}
    box = ElementTree.SubElement(
        node, "box", label="person_box", source="auto", group_id=str(group), z_order="0"
    )
    box.set("occluded", "0")
    for name, value in ends.items():
        box.set(name, f"{value:.2f}")
    skeleton = ElementTree.SubElement(
        node, "skeleton", label="person", source="auto", group_id=str(group), z_order="0"
    )
    marks = row["keypoints"]
    for place, name in enumerate(names):
        px, py, seen = marks[3 * place : 3 * place + 3]
        ElementTree.SubElement(
            skeleton,
            "points",
            label=name,
            source="auto",
            outside="0" if seen else "1",
            occluded="1" if seen == 1 else "0",
            points=f"{px:.2f},{py:.2f}",
        )


def write_task(path: Path, coco: Dict[str, Any]) -> None:
    """Write the labels of a CVAT task: paste them under `Raw` when the task is made."""
    category = coco["categories"][0]
    names: List[str] = category["keypoints"]
    around = "".join(
        f'<line x1="0" y1="0" x2="0" y2="0" data-type="edge" data-node-from="{a}" '
        f'data-node-to="{b}"></line>'
        for a, b in category["skeleton"]
    )
    step = 90.0 / max(len(names), 1)
    circles = "".join(
        f'<circle r="1" cx="{10 + 80 * (i % 2)}" cy="{5 + step * i:.1f}" data-type="element node" '
        f'data-element-id="{i + 1}" data-node-id="{i + 1}" data-label-name="{name}"></circle>'
        for i, name in enumerate(names)
    )
    parts = [
        {"name": n, "type": "points", "color": _COLOURS.get(n.split("_")[0], "#1f77b4")}
        for n in names
    ]
    labels = [
        {"name": "person", "type": "skeleton", "sublabels": parts, "svg": around + circles},
        {"name": "person_box", "type": "rectangle"},
    ]
    write_whole(path, json.dumps(labels, indent=1).encode(), READABLE)
