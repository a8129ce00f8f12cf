"""Machines with a GPU, as far as they can be faked."""

from __future__ import annotations

import importlib.util
from typing import Any, Iterator

import pytest

from tests.fakes import tensorrt_fake
from tests.fakes.gpu import Gpu, running


@pytest.fixture(params=tensorrt_fake.VERSIONS)
def any_gpu(request: Any) -> Iterator[Gpu]:
    """A board with each of the versions in turn."""
    yield from running(request.param)


@pytest.fixture(params=["integrated", "discrete"])
def gpu(request: Any) -> Iterator[Gpu]:
    """A board, and a card of its own, with one version."""
    yield from running("10.3.0", {"integrated": request.param == "integrated"})


NO_OPENVINO = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


@pytest.fixture(params=["ort", pytest.param("openvino", marks=NO_OPENVINO)])
def onnx(request: Any) -> str:
    """Each runtime that executes ONNX files on the CPU, in turn."""
    name: str = request.param
    return name
