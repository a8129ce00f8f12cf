"""prometheus://127.0.0.1:9464: the last metrics in Prometheus's text format, on loopback only.

GET /metrics answers in the exposition format 0.0.4. Every number of a metrics message becomes a
gauge or a counter `edge_<name>`; names of cameras, stages, networks and sinks become labels, which
are bounded by the configuration, and by MOST for each metric whatever happens. Nothing else is
answered, and nothing is ever taken.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List, Mapping, Tuple
from urllib.parse import urlsplit

from edge.errors import ConfigError, UnavailableError
from edge.messages import Message
from edge.publish import Counters, SinkOptions

log = logging.getLogger(__name__)

PORT = 9464  # the one that OpenTelemetry's exporters use
MOST = 64  # label values of one metric; the rest is left out, and counted
SLOW_S = 5.0  # a reader that takes longer is left
COUNTERS = {
    "steps",
    "events",
    "frames",
    "dropped",
    "reconnects",
    "runs",
    "sent",
    "refused",
    "commands",
    "host_copies",
    "over_current",
}
LABELS = {
    "fps": "camera",
    "frames": "camera",
    "people": "camera",
    "dropped": "camera",
    "reconnects": "camera",
    "host_copies": "camera",
    "stages_ms": "stage",
    "runs": "network",
    "temperatures_c": "zone",
    "commands": "outcome",
    "power_mw": "rail",
    "clocks_mhz": "clock",
    "load_percent": "unit",
    "over_current": "circuit",
}
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
Labels = Tuple[Tuple[str, str], ...]
Samples = Dict[str, Dict[Labels, float]]


def open_sink(uri: str, options: SinkOptions) -> PrometheusSink:
    """Listen.

    Raises:
        ConfigError: not an address of this machine alone. UnavailableError: the port is taken.
    """
    host, port = check(uri, options)
    try:
        return PrometheusSink(host, port)
    except OSError as error:
        raise UnavailableError(f"sink {uri}: {error.strerror}; choose another port") from error


def check(uri: str, options: SinkOptions) -> Tuple[str, int]:
    """Host and port of an address.

    Raises:
        ConfigError: it makes no sense, or others could reach it.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
        # Only literal addresses: what a name means is decided elsewhere.
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback, port = False, None
    if not loopback:
        raise ConfigError(
            f"sink {uri!r}: only prometheus://127.0.0.1[:PORT] or [::1], ports 1 to 65535; nobody "
            "else may reach this box, a local agent can carry the figures on"
        )
    if parts.path.strip("/") or parts.query or parts.username or port == 0:
        raise ConfigError(f"sink {uri!r}: nothing may stand beside host and port")
    return host, port or PORT


class PrometheusSink:
    """Keeps the newest metrics and gives them to who asks."""

    def __init__(self, host: str, port: int) -> None:
        self.counters = Counters()
        self.ok = True
        self.reader_left = False  # anybody may ask
        self.waiting = 0
        self._page = render({})
        self._server = _Server((host, port), self.page)
        shown = f"[{host}]" if ":" in host else host
        self.name = f"prometheus://{shown}:{self._server.server_address[1]}"
        self._closed = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="prometheus", daemon=True
        )
        self._thread.start()

    def __call__(self, message: Message) -> None:
        """Keep it if it is a metrics message; everything else is not for here."""
        if message.kind == "metrics" and not self._closed:
            self._page = render(message.payload)
            self.counters.add("sent")

    def page(self) -> bytes:
        """What is answered now."""
        return self._page

    def close(self, timeout_s: float) -> None:
        """Listen no more; may be called twice."""
        if not self._closed:
            self._closed = True
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(timeout_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 8

    def __init__(self, address: Tuple[str, int], page: Any) -> None:
        self.page = page
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "edge"
    sys_version = ""
    timeout = SLOW_S

    def do_GET(self) -> None:
        """Only /metrics, and only for who names this host: a web page elsewhere cannot ask."""
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if self.path.partition("?")[0] != "/metrics" or not _is_here(name):
            self.send_error(404)
            return
        body = self.server.page()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each question would fill the journal."""


def _is_here(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def render(record: Mapping[str, Any]) -> bytes:
    """A metrics record as a page; each metric once, its samples together."""
    samples: Samples = {"up": {(): 1.0}}
    left_out = 0
    for metric, labels, value in flatten(record):
        rows = samples.setdefault(metric, {})
        if labels in rows or len(rows) < MOST:
            rows[labels] = value
        else:
            left_out += 1
    if left_out:
        samples["left_out"] = {(): float(left_out)}
    lines: List[str] = []
    for metric, rows in samples.items():
        kind = "counter" if metric.rpartition("sink_")[2] in COUNTERS else "gauge"
        full = f"edge_{metric}" + ("_total" if kind == "counter" else "")
        lines.append(f"# TYPE {full} {kind}")
        lines += [f"{full}{_braces(labels)} {_number(value)}" for labels, value in rows.items()]
    return ("\n".join(lines) + "\n").encode()


def flatten(record: Mapping[str, Any]) -> Iterator[Tuple[str, Labels, float]]:
    """The numbers of a record: metric, labels, value. Texts and what is unknown are left out."""
    for name, value in record.items():
        if name in ("schema", "device", "boot_id", "seq", "t_utc_ns", "t_mono_ns"):
            continue
        if name == "sinks":
            for sink in value:
                yield from _sink(sink)
        elif isinstance(value, Mapping):
            yield from _table(name, value, ())
        elif isinstance(value, (int, float)):
            yield _metric(name), (), float(value)


def _sink(sink: Mapping[str, Any]) -> Iterator[Tuple[str, Labels, float]]:
    label = (("sink", str(sink.get("name", ""))),)
    for name, value in sink.items():
        if isinstance(value, (int, float)):
            yield _metric(f"sink_{name}"), label, float(value)
        elif isinstance(value, Mapping):
            for inner, number in value.items():
                if isinstance(number, (int, float)):
                    yield _metric(f"sink_{name}_{inner}"), label, float(number)


def _table(
    name: str, table: Mapping[str, Any], labels: Labels
) -> Iterator[Tuple[str, Labels, float]]:
    """A table by name, or quantiles, or a table of quantiles by name."""
    for key, value in table.items():
        if key in QUANTILES and (labels or name not in LABELS):  # a camera may be called p50
            mine = (*labels, ("quantile", QUANTILES[key]))
        else:
            mine = (*labels, (LABELS.get(name, "name"), str(key)))
        if isinstance(value, Mapping) and len(labels) < 2:
            yield from _table(name, value, mine)
        elif isinstance(value, (int, float)):
            yield _metric(name), mine, float(value)


def _metric(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def _braces(labels: Labels) -> str:
    quoted = (f'{_metric(name)}="{_escape(value)}"' for name, value in labels)
    return "{" + ",".join(quoted) + "}" if labels else ""


def _escape(value: str) -> str:
    """Whole, as two that begin alike would be one sample twice; a path need not be UTF-8."""
    text = value.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")
