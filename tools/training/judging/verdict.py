"""The verdict on a trained model: better on the held-out recordings, nothing lost elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from tools.evaluation.found.record import Found
from tools.evaluation.truth import Picture, Truth
from tools.training.data.samples import Sample, by_picture
from tools.training.judging import looks
from tools.training.judging.figures import Part, change, figures

Figures = Dict[str, Any]


class Judged(NamedTuple):
    """Both models on the same pictures."""

    before: Optional[Figures]  # None: there was no model before
    after: Figures
    parts: List[Tuple[Truth, Optional[Found], Found]]  # data, before, after


def compare(
    old: Optional[Path],
    new: Path,
    data: Sequence[Tuple[Truth, Sequence[Picture]]],
    label: str,
    quiet: bool,
) -> Judged:
    """Judge both models.

    Args:
        old: folder of the model before training; None: there is none.
        new: folder of the trained model.
        data: data sets with those of their pictures that count.
        label: of the data, for the progress.
        quiet: show no progress.
    """
    parts: List[Tuple[Truth, Optional[Found], Found]] = []
    for truth, pictures in data:
        some = Part.of(truth, pictures).truth
        before = None
        if old is not None:
            before = looks.run(old, some, pictures, f"{label}: before", quiet=quiet)
        after = looks.run(new, some, pictures, f"{label}: after", quiet=quiet)
        parts.append((some, before, after))
    told = figures([(t, b) for t, b, _ in parts if b is not None]) if old is not None else None
    return Judged(told, figures([(t, a) for t, _, a in parts]), parts)


def pictures_of(samples: Sequence[Sample]) -> List[Tuple[Truth, List[Picture]]]:
    """The pictures of samples, data set by data set."""
    found: Dict[int, Tuple[Truth, List[Picture]]] = {}
    for truth, picture, _ in by_picture(samples):
        found.setdefault(id(truth), (truth, []))[1].append(picture)
    return list(found.values())


def lost(judged: Judged) -> float:
    """Share of the mean OKS that is lost; 0 if it rose or nothing was there before."""
    if judged.before is None:
        return 0.0
    return max(0.0, -(change(judged.before["oks"], judged.after["oks"]) or 0.0))


def verdict(held_out: Judged, reference: Optional[Judged], most_lost: float) -> Dict[str, Any]:
    """What is gained and lost, and why the model is refused, if it is.

    Returns:
        error_change: relative, negative is better; oks_lost: of the reference; refused: a reason,
        or empty.
    """
    gained = None
    if held_out.before is not None:
        gained = change(held_out.before["error"], held_out.after["error"])
    gone = lost(reference) if reference is not None else 0.0
    reasons = []
    if gone > most_lost:
        reasons.append(f"the reference clips lose {gone:.1%} of their OKS, {most_lost:.0%} may be")
    if not held_out.after["found"]:
        reasons.append("nobody is found in the held-out recordings")
    if gained is not None and gained > 0:
        reasons.append(f"the held-out recordings are worse by {gained:.1%}")
    return {"error_change": gained, "oks_lost": gone, "refused": "; ".join(reasons)}
