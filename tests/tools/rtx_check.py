"""NVIDIA's own importer and builder over ONNX files, on a machine without a GPU.

Runs in an environment that holds `tensorrt-rtx`; one line of JSON per file on standard output:
{"file", "built": bytes of the engine or 0, "errors": [text]}. Nothing of ours is imported.
"""

import json
import sys

import tensorrt_rtx as trt

MAX_BATCH = 4


class Quiet(trt.ILogger):
    """Keeps errors, as some are told here only."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []

    def log(self, severity, text):
        if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(text)


def build(path):
    log = Quiet()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    with open(path, "rb") as file:  # noqa: PTH123
        parsed = parser.parse(file.read())
    errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    if not parsed:
        return 0, errors or log.errors
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        rest = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (1, *rest), (2, *rest), (MAX_BATCH, *rest))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    return (engine.nbytes if engine is not None else 0), log.errors


for name in sys.argv[1:]:
    built, found = build(name)
    sys.stdout.write(json.dumps({"file": name, "built": built, "errors": found}) + "\n")
