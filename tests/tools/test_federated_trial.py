"""The trial of four sites: what its bars say, and what a poisoned site sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from edge import skeletons
from tools.__main__ import main
from tools.federated.file import Moved
from tools.federated.trial import bars, poison
from tools.federated.trial.sites import SITES

NAMES = [site.name for site in SITES]


def table(**changed: float) -> Dict[str, Dict[str, float]]:
    """Figures with which all bars hold, but for what is changed, such as average_west=.1."""
    values = {"base": 0.5, "pooled": 0.605, "average": 0.6}
    values.update({f"alone-{name}": 0.55 for name in NAMES})
    found = {name: dict.fromkeys(NAMES, value) for name, value in values.items()}
    for key, value in changed.items():
        name, _, site = key.rpartition("_")
        found[name][site] = value
    return found


def failed(figures: Dict[str, Dict[str, float]]) -> Any:
    return [what for what, holds, _ in bars.bars(figures, NAMES) if not holds]


def test_bars_hold_and_fail_one_by_one() -> None:
    assert failed(table()) == []
    assert failed(table(pooled_west=0.7)) == [
        "within 1 % OKS of pooled training, all sites together"
    ]
    worse = failed(table(average_west=0.49, pooled_west=0.49))
    assert "not worse than the base at west" in worse
    assert not any("alone" in what for what in worse)
    others = failed(table(**{"alone-north_west": 0.75}))
    assert others == ["better than north alone on the others' recordings"]
    assert failed(table(**{"alone-north_north": 0.99})) == [], "its own place does not count"


def test_the_page_has_every_figure_and_no_markup_of_names() -> None:
    result = {"sites": NAMES, "oks": table(), "bars": bars.bars(table(), NAMES), "looks": 2}
    result.update(uploads=[bars.upload(1000, 200)], note="one <round>")
    page = bars.page(result)
    assert "1000 bytes = 200 weights of 4 bytes + 200 bytes" in page
    assert "one &lt;round&gt;" in page
    assert "looks at the held-out recordings in this folder: 2" in page
    assert "http" not in page


def test_a_poisoned_site_labels_left_as_right(tmp_path: Path) -> None:
    count = len(skeletons.get("coco17").names)
    person = {
        "id": 0,
        "keypoints": [[i, i, 2] for i in range(count)],
        "keypoints_m": [[i, i, i] for i in range(count)],
    }
    clip = tmp_path / "honest" / "a.truth.jsonl"
    clip.parent.mkdir()
    lines = [{"schema": "edge-truth/1", "skeleton": "coco17"}, {"frame": 0, "people": [person]}]
    clip.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    poison.swap_labels(clip.parent, tmp_path / "evil")
    head, frame = (tmp_path / "evil" / clip.name).read_text("utf-8").splitlines()
    (found,) = json.loads(frame)["people"]
    flip = skeletons.get("coco17").flip
    assert [p[0] for p in found["keypoints"]] == flip.tolist() != list(range(count))
    assert [p[0] for p in found["keypoints_m"]] == flip.tolist()
    assert json.loads(head) == lines[0]


def test_noise_is_as_long_as_it_shall_be() -> None:
    honest = Moved("a", "b", 1, ("w",), ((500,),), np.full(500, 0.1, np.float32))
    bad = poison.noise_like(honest, 3.0, 1)
    assert bad.norm == pytest.approx(3 * honest.norm, rel=1e-5)
    assert bad.site == "evil"
    assert abs(float(bad.moved @ honest.moved)) < 0.3 * honest.norm * bad.norm


def test_a_trial_with_other_options_needs_another_folder(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "engines" / "blazepose").mkdir(parents=True)
    (tmp_path / "engines" / "blazepose" / "model.toml").touch()
    (tmp_path / "settings.json").write_text('{"rounds": 9}', "utf-8")
    assert main(["federated-trial", "--out", str(tmp_path)]) == 78
    assert "name another --out" in capsys.readouterr().err
    assert main(["federated-trial", "--rounds", "0", "--out", str(tmp_path)]) == 78
    assert main(["federated-trial", "--rate", "nan", "--out", str(tmp_path)]) == 78
