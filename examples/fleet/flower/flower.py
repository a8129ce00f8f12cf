"""Start Flower's SuperLink or SuperNode as this project wants it, or sign an app.

    python flower.py superlink --signatures DIR --ssl-certfile ... --port 8000
    python flower.py supernode --trusted-entities trusted.yaml --auth-supernode-private-key ...
    python flower.py sign app.fab --key reviewer.key --id fpk_reviewer --signatures DIR

What it adds to Flower's own commands:

- telemetry and the search for updates are off; nothing is installed at run time;
- TLS, authentication of nodes and trusted entities cannot be forgotten;
- an app may take ten minutes to start: Flower 1.42 gives up after 30 s, and a busy machine then
  starts one process after another;
- `--signatures`: Flower's own commands get signatures of apps only from Flower's public hub. Here
  the SuperLink hands on those of DIR. Only a SuperNode decides whether they are good.

The last two reach into Flower 1.42 (`PINNED`), so another version is refused.
"""

import base64
import hashlib
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

PINNED = "1.42."
START_S = 600
NEEDED = {
    "superlink": ["--ssl-certfile", "--ssl-keyfile", "--ssl-ca-certfile"],
    "supernode": ["--root-certificates", "--auth-supernode-private-key", "--trusted-entities"],
}
ADDED = {
    "superlink": ["--enable-supernode-auth", "--disable-runtime-dependency-installation"],
    "supernode": [],
}
REFUSED = ("--insecure", "--allow-runtime-dependency-installation")

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"


def option(words, name):
    """Take an option and its value out of a command line."""
    if name not in words[:-1]:
        sys.exit(f"flower.py: {name} is missing")
    at = words.index(name)
    value = words[at + 1]
    del words[at : at + 2]
    return value


def sign(words):
    """Write the signature of an app's file."""
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key
    from flwr.supercore.primitives.asymmetric_ed25519 import create_message_to_sign

    folder, name = Path(option(words, "--signatures")), option(words, "--id")
    key = load_ssh_private_key(Path(option(words, "--key")).read_bytes(), None)
    content = Path(words[0]).read_bytes()
    at = int(time.time())
    digest = hashlib.sha256(content)
    signature = key.sign(create_message_to_sign(digest.digest(), at))
    text = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    row = {name: json.dumps({"signed_at": at, "signature": text}), "valid_license": "Valid"}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest.hexdigest()}.json"
    path.write_text(json.dumps(row), "utf-8")
    print(path)


def hand_on_signatures(folder):
    """Let the SuperLink give SuperNodes the signatures of a folder."""
    from flwr.superlink.servicer.control import control_handlers

    plain = control_handlers.Fab

    def with_signatures(hash_str, content, verifications):
        path = folder / f"{hashlib.sha256(content).hexdigest()}.json"
        if not verifications and path.is_file():
            verifications = json.loads(path.read_text("utf-8"))
        return plain(hash_str, content, verifications)

    control_handlers.Fab = with_signatures


def start(kind, words):
    """Run a server of Flower in this process."""
    missing = [name for name in NEEDED[kind] if name not in words]
    wrong = [name for name in REFUSED if name in words]
    if missing or wrong:
        sys.exit(f"flower.py {kind}: needs {missing}" if missing else f"flower.py: no {wrong[0]}")
    signatures = option(words, "--signatures") if kind == "superlink" else None
    from flwr.common import constant

    constant.HEARTBEAT_DEFAULT_INTERVAL = START_S  # before others import it by name
    sys.argv = [f"flower-{kind}", *words, *ADDED[kind]]
    if kind == "superlink":
        from flwr.superlink.cli.flower_superlink import flower_superlink

        hand_on_signatures(Path(signatures))
        flower_superlink()
    else:
        from flwr.supernode.cli.flower_supernode import flower_supernode

        flower_supernode()


def main():
    """Run one of the three."""
    if not version("flwr").startswith(PINNED):
        sys.exit(f"flower.py: is made for flwr {PINNED}*, not {version('flwr')}")
    kind, words = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if kind == "sign":
        sign(words)
    elif kind in NEEDED:
        start(kind, words)
    else:
        sys.exit("flower.py: superlink, supernode or sign")


if __name__ == "__main__":
    main()
