"""Print the golden values of a recipe, computed by the framework its weights were published for.

For maintainers, by hand: needs `ai-edge-litert` for TFLite and OpenCV 4 (5 has no darknet reader).

    python tests/tools/make_golden.py engines/blazepose
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Dict

import numpy as np

from edge.recipe import Network, Weights, load_recipe
from tools.convert.network import members_of
from tools.convert.verify import picture, sampled
from tools.fetch.archives import read_members
from tools.fetch.cache import obtain
from tools.fetch.sources import archive_of_weights


def litert_outputs(data: bytes, sample: np.ndarray) -> Dict[str, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
    interpreter.invoke()
    details = interpreter.get_output_details()
    return {d["name"]: interpreter.get_tensor(d["index"]) for d in details}


def golden_tflite(network: Network, weights: Weights, files: Dict[str, bytes]) -> Dict[str, np.ndarray]:
    sample = np.ascontiguousarray(picture(network).transpose(1, 2, 0))
    found = litert_outputs(files[weights.member], sample)
    return {new: found[old] for new, old in weights.extra["outputs"].items()}


def golden_darknet(network: Network, weights: Weights, files: Dict[str, bytes]) -> Dict[str, np.ndarray]:
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        places = {Path(name).suffix: Path(folder, Path(name).name) for name in files}
        for name, content in files.items():
            places[Path(name).suffix].write_bytes(content)
        net = cv2.dnn.readNetFromDarknet(str(places[".cfg"]), str(places[".weights"]))
    net.setInput(picture(network)[None])
    names = list(net.getLayerNames())
    # The convolution before each yolo layer (a permute stands between them).
    heads = [names[i - 2] for i, name in enumerate(names) if name.startswith("yolo")]
    found = {f"yolo{i}": values for i, values in enumerate(net.forward(heads))}
    return {new: found[old] for new, old in weights.extra["outputs"].items()}


MAKERS = {"tflite": golden_tflite, "darknet": golden_darknet}


def main(folder: Path) -> None:
    for name, network in load_recipe(folder).networks.items():
        weights = network.weights
        assert weights is not None
        files = read_members(obtain(archive_of_weights(weights)), members_of(weights))
        print(f"[networks.{name}.weights.extra.golden]")
        for output, values in MAKERS[weights.convert](network, weights, files).items():
            print(f"{output} = [{', '.join(f'{v:.7g}' for v in sampled(values))}]")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
