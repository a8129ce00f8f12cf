"""NVIDIA's modelopt over an ONNX file and inputs. Runs in its own environment."""

import json
import os
import sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the library prints to standard output

import numpy as np  # noqa: E402
from modelopt.onnx.quantization import quantize  # noqa: E402

network, name, inputs_file = sys.argv[1:]
inputs = np.load(inputs_file)  # [N,...] f32, the network's input
for line in sys.stdin:
    request = json.loads(line)  # {"method": "entropy" | "max", "out": FILE}
    quantize(
        network,
        calibration_data={name: inputs},
        calibration_method=request["method"],
        calibration_eps=["cpu"],
        high_precision_dtype="fp32",
        output_path=request["out"],
    )
    answers.write(json.dumps({"out": request["out"]}) + "\n")
    answers.flush()
