"""Compare the outputs of an exported graph with those of its PyTorch network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import numpy as np
import torch
from torch import Tensor

from tools.arch.detector import PERSON, Detector
from tools.arch.network import Network, Outputs, take_rows
from tools.arch.rtmo import KEYPOINTS, Rtmo
from tools.arch.simcc import BINS_PER_PX, SimccNetwork

ROUNDINGS = 10  # two evaluation orders of a deep float32 network differ by more than one rounding


@dataclass(frozen=True)
class Difference:
    """Errors of one output, in its own unit (px, logits or probabilities)."""

    name: str
    shape: Sequence[int]  # of one sample
    largest: float  # largest magnitude in PyTorch's output
    max_error: float
    mean_error: float
    rounding: float  # error of PyTorch's own result from float32
    allowed: float

    @property
    def ok(self) -> bool:
        """Whether the error is allowed; NaN is not."""
        return self.max_error <= self.allowed


def differences(
    network: Network, form: str, session: Any, images: np.ndarray, tolerance: float
) -> List[Difference]:
    """Run both on the same images: the first alone, the others as a batch.

    The allowed error is the tolerance, or ten times the network's own rounding error if that is
    larger. Networks with random weights amplify rounding errors; trained networks hardly do.

    Args:
        network: the original network, without folding.
        form: form of the exported outputs, one of `tools.arch.to_onnx.FORMS`.
        session: ONNX Runtime's session of the exported graph.
        images: [B,3,H,W] float32, B > 1.
        tolerance: largest allowed error, as a share of the largest magnitude of each output.
    """
    batches = [images[:1], images[1:]]
    names = [output.name for output in session.get_outputs()]
    got: Dict[str, List[Tensor]] = {name: [] for name in names}
    wanted: Dict[str, List[Tensor]] = {name: [] for name in names}
    exact: Dict[str, List[Tensor]] = {name: [] for name in names}
    precise = copy.deepcopy(network).double()
    for batch in batches:
        results = session.run(None, {session.get_inputs()[0].name: batch})
        found = {name: torch.from_numpy(result) for name, result in zip(names, results)}
        image = torch.from_numpy(batch)
        for into, outputs in (
            (got, found),
            (wanted, _expected(network, form, image, found, tolerance)),
            (exact, _expected(precise, form, image.double(), found, tolerance)),
        ):
            for name in names:
                into[name].append(outputs[name].double())
    return [
        _difference(n, torch.cat(got[n]), torch.cat(wanted[n]), torch.cat(exact[n]), tolerance)
        for n in names
    ]


def _difference(
    name: str, got: Tensor, wanted: Tensor, exact: Tensor, tolerance: float
) -> Difference:
    errors, largest = (got - wanted).abs(), float(wanted.abs().max())
    rounding = float((wanted - exact).abs().max())
    return Difference(
        name,
        list(got.shape[1:]),
        largest,
        float(errors.max()),
        float(errors.mean()),
        rounding,
        max(tolerance * largest, ROUNDINGS * rounding),
    )


def _expected(
    network: Network, form: str, image: Tensor, got: Outputs, tolerance: float
) -> Outputs:
    """PyTorch's outputs. Nearly equal entries are in the order in which the graph ranked them."""
    got = {name: found.to(image.dtype) for name, found in got.items()}
    with torch.no_grad():
        return _aligned(network, form, image, got, tolerance)


def _aligned(network: Network, form: str, image: Tensor, got: Outputs, tolerance: float) -> Outputs:
    if form == "raw":
        return network.raw(image)
    if isinstance(network, SimccNetwork) and form == "fused":
        return _keypoints(network, image, got, tolerance)
    if isinstance(network, Detector) and form == "fused":
        return _boxes(network, image, got)
    if isinstance(network, Rtmo):
        return _people(network, image, got)
    return network(image)


def _keypoints(network: SimccNetwork, image: Tensor, got: Outputs, tolerance: float) -> Outputs:
    """If two bins have nearly the same logit, either may be the maximum."""
    logits, exact = network(image), network.fused(image)
    axes = (logits["simcc_x"], logits["simcc_y"])
    slack = tolerance * max(float(axis.abs().max()) for axis in axes)
    bins = (got["keypoints"] * BINS_PER_PX).round().long().clamp(min=0)
    near = [
        axis.amax(2) - axis.gather(2, bins[..., i : i + 1])[..., 0] <= slack
        for i, axis in enumerate(axes)
    ]
    scores = exact["keypoint_scores"]
    there = ((got["keypoints"][..., 0] >= 0) == (scores > 0)) | (scores.abs() <= slack)
    tie = (near[0] & near[1] & there).unsqueeze(2)
    return dict(exact, keypoints=torch.where(tie, got["keypoints"], exact["keypoints"]))


def _boxes(network: Detector, image: Tensor, got: Outputs) -> Outputs:
    boxes, scores = network.decode(image)
    index = _nearest(boxes, got["boxes"])
    return {
        "boxes": take_rows(boxes, index, 4),
        "scores": _ranked(scores[:, PERSON], index, got["scores"]),
    }


def _people(network: Rtmo, image: Tensor, got: Outputs) -> Outputs:
    boxes, scores, seen, vectors = network.decode(image)
    index = _nearest(boxes, got["boxes"])
    rows = take_rows(boxes, index, 4)
    points = network.points[0].transpose(0, 1)[index.reshape(-1)]
    chosen = take_rows(vectors, index, network.vector).reshape(-1, network.vector)
    keypoints = network.head.dcc(chosen, rows.reshape(-1, 4), points)
    return {
        "boxes": rows,
        "scores": _ranked(scores, index, got["scores"]),
        "keypoints": keypoints.reshape(got["keypoints"].shape),
        "visibility": take_rows(seen, index, KEYPOINTS),
    }


def _nearest(boxes: Tensor, rows: Tensor) -> Tensor:
    """For each of the rows [B,M,4], the index of the nearest of boxes [B,N,4]: [B,M]."""
    return torch.cdist(rows, boxes, p=1).argmin(2)


def _ranked(scores: Tensor, index: Tensor, got: Tensor) -> Tensor:
    """The score of the same cell or of the same rank, whichever differs more from `got`."""
    same_cell = scores.gather(1, index).unsqueeze(2)
    same_rank = scores.topk(index.shape[1], 1).values.unsqueeze(2)
    farther = (same_rank - got).abs() > (same_cell - got).abs()
    return torch.where(farther, same_rank, same_cell)
