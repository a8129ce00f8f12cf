"""One mistake that was found in labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict

from tools.evaluation.truth import Picture, Truth

# Kind -> what it means and how it is mended, for people.
KINDS: Dict[str, str] = {
    "sides": "Left and right are swapped: the labels fit the model's pose after a swap only, in "
    "the picture and in its mirror image. Left is the person's left. The model may be wrong: look.",
    "order": "Points are in another order than their names say. Export with names (COCO "
    "categories, CVAT skeletons), or give --keypoints.",
    "turn": "The picture says by EXIF that it is turned, and the labels belong to the other turn. "
    "Save the picture turned, without that mark, before labelling.",
    "size": "The picture has another size than the labels say: they were made on another copy.",
    "missing": "The picture or video is not there, or cannot be read. See --pictures.",
    "outside": "A point or box lies outside the picture.",
    "box": "The box does not hold its points, or is empty: the network would look elsewhere.",
    "place": "Several labelled points lie on one spot: they were placed and forgotten.",
    "twice": "The same person is labelled twice in a picture.",
    "duplicate": "The same picture is there twice, so it would count twice.",
    "leak": "The same recording or picture is in training and in the test.",
    "few": "A recording has fewer than 5 labelled people.",
}
# Kinds that a person may decide to live with; the others make the exit code 1.
MILD = ("few", "place")


@dataclass(frozen=True, eq=False)
class Fault:
    """A mistake, and where it is."""

    kind: str  # one of KINDS
    text: str
    truth: Truth
    picture: Picture
    person: int = -1  # row of the picture's people; -1 = the picture or the whole set

    @property
    def where(self) -> str:
        """File and person, for people."""
        person = f", person {self.person + 1}" if self.person >= 0 else ""
        return f"{self.truth.name}: {self.picture.file}{person}"
