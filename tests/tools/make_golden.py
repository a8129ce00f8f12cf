"""Print the golden values of a recipe, computed by the framework its weights were published for.

For maintainers, by hand: needs `ai-edge-litert` for TFLite, OpenCV 4 for darknet (5 has no reader
for it), and node with `npm install @tensorflow/tfjs` in the working directory for TensorFlow.js.

    python -m tests.tools.make_golden engines/blazepose  # lines for its model.toml
    python -m tests.tools.make_golden others  # golden/tflite_others.npz: more networks of the wheel
    python -m tests.tools.make_golden darknet  # golden/darknet_layers.npz: every layer that we know
    python -m tests.tools.make_golden crops  # golden/tflite_*.npz: crops of real frames
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict

import numpy as np

from edge.recipe import Network, Weights, load_recipe
from tests.tools.network_cases import (
    OTHERS,
    every_layer_cfg,
    every_layer_input,
    every_layer_weights,
    pixels_of,
    thinned,
)
from tools.convert._tflite_file import TfliteFile
from tools.convert.network import members_of
from tools.convert.verify import enlarged, picture, pixels, sampled
from tools.fetch.archives import read_members
from tools.fetch.cache import cached_archive
from tools.fetch.sources import archive_of_weights

GOLDEN = Path(__file__).parent / "golden"


def litert_outputs(data: bytes, sample: np.ndarray) -> Dict[str, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
    interpreter.invoke()
    details = interpreter.get_output_details()
    found = {d["name"]: interpreter.get_tensor(d["index"]) for d in details}
    return {n: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for n, v in found.items()}


def golden_tflite(
    network: Network, weights: Weights, files: Dict[str, bytes]
) -> Dict[str, np.ndarray]:
    sample = np.ascontiguousarray(picture(network).transpose(1, 2, 0))
    found = litert_outputs(files[weights.member], sample)
    return {new: found[old] for new, old in weights.extra["outputs"].items()}


def golden_darknet(
    network: Network, weights: Weights, files: Dict[str, bytes]
) -> Dict[str, np.ndarray]:
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        places = {Path(name).suffix: Path(folder, Path(name).name) for name in files}
        for name, content in files.items():
            places[Path(name).suffix].write_bytes(content)
        net = cv2.dnn.readNetFromDarknet(str(places[".cfg"]), str(places[".weights"]))  # type: ignore[attr-defined]
    net.setInput(picture(network)[None])
    names = list(net.getLayerNames())
    # The convolution before each yolo layer (a permute stands between them).
    heads = [names[i - 2] for i, name in enumerate(names) if name.startswith("yolo")]
    found = {f"yolo{i}": values for i, values in enumerate(net.forward(heads))}
    return {new: found[old] for new, old in weights.extra["outputs"].items()}


TFJS = """
const fs = require("fs"), tf = require("@tensorflow/tfjs");
const [model, shards, image, height, width] = process.argv.slice(1);
const json = JSON.parse(fs.readFileSync(model)), data = fs.readFileSync(shards);
const load = async () => ({
  modelTopology: json.modelTopology, format: json.format, signature: json.signature,
  weightSpecs: json.weightsManifest.flatMap(group => group.weights),
  weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.length),
});
(async () => {
  await tf.setBackend("cpu");
  const net = await tf.loadGraphModel({load});
  const sample = tf.tensor([...fs.readFileSync(image)], [1, +height, +width, 3], "int32");
  const found = await net.executeAsync(sample);
  console.log(JSON.stringify({shape: found.shape, data: [...found.dataSync()]}));
})();
"""


def tfjs_output(files: Dict[str, bytes], image: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        places = {Path(name).suffix: Path(folder, Path(name).name) for name in files}
        for name, content in files.items():
            places[Path(name).suffix].write_bytes(content)
        Path(folder, "image").write_bytes(image.astype(np.uint8).tobytes())
        command = ["node", "-e", TFJS, places[".json"], places[".bin"], Path(folder, "image")]
        command += [str(side) for side in image.shape[:2]]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    return np.array(found["data"]).reshape(found["shape"])


def golden_tfjs(
    network: Network, weights: Weights, files: Dict[str, bytes]
) -> Dict[str, np.ndarray]:
    return {"people": tfjs_output(files, pixels(network))}


MAKERS = {"tflite": golden_tflite, "darknet": golden_darknet, "tfjs": golden_tfjs}


def crops() -> None:
    for name, network in load_recipe(Path("engines/blazepose")).networks.items():
        weights = network.weights
        assert weights is not None
        files = read_members(cached_archive(archive_of_weights(weights)), members_of(weights))
        place = GOLDEN / f"tflite_{name}.npz"
        with np.load(place) as stored:
            image = stored["image"]
        sample = (enlarged(image, network.height, network.width) / 255).astype(np.float32)
        found = litert_outputs(files[weights.member], sample)
        outputs = {new: thinned(found[old]) for new, old in weights.extra["outputs"].items()}
        np.savez_compressed(place, image=image, **outputs)


def others() -> None:
    weights = load_recipe(Path("engines/blazepose")).networks["body"].weights
    assert weights is not None
    found = {}
    for member, data in read_members(cached_archive(archive_of_weights(weights)), OTHERS).items():
        source = TfliteFile(data, member)
        height, width = source.shape(source.inputs[0])[1:3]
        sample = (pixels_of(height, width) / 255).astype(np.float32)
        for name, values in litert_outputs(data, sample).items():
            found[f"{member}:{name}"] = sampled(values)
    np.savez_compressed(GOLDEN / "tflite_others.npz", **found)


def darknet_layers() -> None:
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        cfg, weights = Path(folder, "all.cfg"), Path(folder, "all.weights")
        cfg.write_text(every_layer_cfg(), encoding="utf-8")
        weights.write_bytes(every_layer_weights())
        net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))  # type: ignore[attr-defined]
        names = list(net.getLayerNames())
        heads = [names[i - 2] for i, name in enumerate(names) if name.startswith("yolo")]
        net.setInput(every_layer_input())
        found = {f"yolo{i}": values for i, values in enumerate(net.forward(heads))}
    np.savez_compressed(GOLDEN / "darknet_layers.npz", **found)


def main(folder: Path) -> None:
    for name, network in load_recipe(folder).networks.items():
        weights = network.weights
        assert weights is not None
        files = read_members(cached_archive(archive_of_weights(weights)), members_of(weights))
        sys.stdout.write(f"[networks.{name}.weights.extra.golden]\n")
        sys.stdout.write(f"size = [{network.width}, {network.height}]\n")
        for output, values in MAKERS[weights.convert](network, weights, files).items():
            numbers = ", ".join(f"{v:.7g}" for v in sampled(values))
            sys.stdout.write(f"{output} = [{numbers}]\n")


if __name__ == "__main__":
    jobs = {"crops": crops, "others": others, "darknet": darknet_layers}
    jobs.get(sys.argv[1], lambda: main(Path(sys.argv[1])))()
