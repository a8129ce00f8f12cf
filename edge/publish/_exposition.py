"""Write a metrics message in Prometheus's text format 0.0.4.

Metric names follow https://prometheus.io/docs/practices/naming/: the prefix `edge_`, base units
(seconds, bytes, celsius, watts, hertz, ratio), and `_total` at the end of a counter. Names of
cameras, stages, networks and sinks become labels. The configuration bounds the number of label
values; MOST bounds it in any case.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

CONTRACT = Path(__file__).parent / "contract"
MOST = 64  # label values of one metric; further ones are left out and counted
ENVELOPE = ("schema", "device", "boot_id", "seq", "t_utc_ns", "t_mono_ns")
# Last part of a field's name -> base unit, divisor, factor.
UNITS = {
    "s": ("seconds", 1, 1),
    "ms": ("seconds", 1000, 1),
    "mb": ("bytes", 1, 2**20),
    "c": ("celsius", 1, 1),
    "mw": ("watts", 1000, 1),
    "hz": ("hertz", 1, 1),
    "mhz": ("hertz", 1, 10**6),
    "percent": ("ratio", 100, 1),
    "share": ("ratio", 1, 1),
}
# Fields whose metric has another name: singular, and with a unit.
RENAMED = {
    "fps": "frame_rate_hz",
    "stages_ms": "stage_ms",
    "temperatures_c": "temperature_c",
    "clocks_mhz": "clock_mhz",
    "sensor_temperatures_c": "sensor_temperature_c",
}
COUNTERS = {
    "steps",
    "events",
    "frames",
    "dropped",
    "reconnects",
    "runs",
    "tile_changes",
    "sparse_changes",
    "commands",
    "host_copies",
    "over_current",
    "degrade_changes",
    "adaptive_rate_slow_s",
    "adaptive_rate_saved_steps",
    "sensor_samples",
    "sensor_lost",
    "sensor_reopened",
    "sink_sent",
    "sink_dropped",
    "sink_refused",
    "sink_outbox_stored",
    "sink_outbox_parked",
    "sink_outbox_lost",
    "sink_outbox_resets",
}
# Tables: the label that a key of the table becomes.
LABELS = {
    "fps": "camera",
    "frames": "camera",
    "people": "camera",
    "dropped": "camera",
    "reconnects": "camera",
    "host_copies": "camera",
    "tiles": "camera",
    "tile_changes": "camera",
    "sparse": "camera",
    "sparse_changes": "camera",
    "filter_nis": "camera",
    "outlier_share": "camera",
    "stages_ms": "stage",
    "runs": "network",
    "temperatures_c": "zone",
    "sensor_samples": "sensor",
    "sensor_lost": "sensor",
    "sensor_reopened": "sensor",
    "sensor_temperatures_c": "sensor",
    "commands": "outcome",
    "power_mw": "rail",
    "clocks_mhz": "clock",
    "load_percent": "unit",
    "over_current": "circuit",
}
RECORDS = (
    "ram_mb",
    "degrade",
    "adaptive_rate",
)  # tables whose keys are fixed: each key becomes a metric
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
Labels = Tuple[Tuple[str, str], ...]


@dataclass
class Family:
    """One metric and its samples."""

    kind: str  # gauge | counter | summary
    help: str
    samples: Dict[Labels, float] = field(default_factory=dict)


class Exposition:
    """Turns metrics records into pages; knows the contract's descriptions as help texts."""

    def __init__(self) -> None:
        fields = _schema("metrics.json")["properties"]
        sink = fields["sinks"]["items"]["properties"]
        degrade = _schema("types.json")["$defs"]["degrade"]["properties"]
        self._help: Dict[str, str] = {}
        for prefix, properties in (
            ("", fields),
            ("degrade_", degrade),
            ("adaptive_rate_", fields["adaptive_rate"]["properties"]),
            ("sink_", sink),
            ("sink_outbox_", sink["outbox"]["properties"]),
        ):
            for name, entry in properties.items():
                self._help[prefix + name] = entry.get("description", "")

    def page(self, record: Mapping[str, Any]) -> bytes:
        """The text of a metrics record, each metric once with its samples together.

        Args:
            record: the payload of a metrics message; {} before the first.
        """
        families = {"edge_up": Family("gauge", "1 while the program runs.", {(): 1.0})}
        left_out = 0
        for source, metric, labels, value in flatten(record):
            name, kind, number = exposed(metric, labels, value)
            family = families.setdefault(name, Family(kind, self._help.get(source, "")))
            if labels in family.samples or len(family.samples) < MOST:
                family.samples[labels] = number
            else:
                left_out += 1
        if left_out:
            text = f"Samples left out: a metric has at most {MOST}."
            families["edge_left_out"] = Family("gauge", text, {(): float(left_out)})
        lines = [line for name, family in families.items() for line in _lines(name, family)]
        return ("\n".join(lines) + "\n").encode()


def _schema(name: str) -> Dict[str, Any]:
    schema: Dict[str, Any] = json.loads((CONTRACT / name).read_text("utf-8"))
    return schema


def flatten(record: Mapping[str, Any]) -> Iterator[Tuple[str, str, Labels, float]]:
    """The numbers of a record. Texts, lists and unknown values (None) are left out.

    Yields:
        The contract's field, the metric in the field's unit, labels, value.
    """
    for name, value in record.items():
        if name in ENVELOPE:
            continue
        if name == "sinks":
            for sink in value:
                yield from _sink(sink)
        elif isinstance(value, Mapping) and name in RECORDS:
            yield from _record(name, value)
        elif isinstance(value, Mapping):
            yield from ((name, _renamed(name), *row) for row in _table(name, value, ()))
        elif isinstance(value, (int, float)):
            yield name, _renamed(name), (), float(value)


def _renamed(name: str) -> str:
    return RENAMED.get(name, name)


def _sink(sink: Mapping[str, Any]) -> Iterator[Tuple[str, str, Labels, float]]:
    label = (("sink", str(sink.get("name", ""))),)
    for name, value in sink.items():
        table = value if isinstance(value, Mapping) else {"": value}
        for inner, number in table.items():
            if isinstance(number, (int, float)):
                metric = f"sink_{name}_{inner}" if inner else f"sink_{name}"
                yield metric, metric, label, float(number)


def _record(name: str, table: Mapping[str, Any]) -> Iterator[Tuple[str, str, Labels, float]]:
    """A table of fixed keys; the unit of its name goes behind the key."""
    stem, _, unit = name.rpartition("_") if name.rpartition("_")[2] in UNITS else (name, "", "")
    for key, value in table.items():
        if isinstance(value, (int, float)):
            metric = "_".join(filter(None, (stem, key, unit)))
            yield (name if unit else metric), metric, (), float(value)


def _table(name: str, table: Mapping[str, Any], labels: Labels) -> Iterator[Tuple[Labels, float]]:
    """A table by name, or quantiles, or a table of quantiles by name."""
    for key, value in table.items():
        if key in QUANTILES and (labels or name not in LABELS):  # a camera may be called p50
            mine = (*labels, ("quantile", QUANTILES[key]))
        else:
            mine = (*labels, (LABELS.get(name, "name"), str(key)))
        if isinstance(value, Mapping) and len(labels) < 2:
            yield from _table(name, value, mine)
        elif isinstance(value, (int, float)):
            yield mine, float(value)


def exposed(metric: str, labels: Labels, value: float) -> Tuple[str, str, float]:
    """Name, type and value of a sample in Prometheus's base units."""
    stem, _, ending = metric.rpartition("_")
    if stem and ending in UNITS:
        unit, divisor, factor = UNITS[ending]
        # 12 digits: 30.7 ms are 0.0307 s, not 0.030699999999999998.
        metric, value = f"{stem}_{unit}", float(f"{value / divisor * factor:.12g}")
    name = "edge_" + re.sub(r"[^a-zA-Z0-9_]", "_", metric)
    if metric in COUNTERS:
        return f"{name}_total", "counter", value
    return name, "summary" if any(key == "quantile" for key, _ in labels) else "gauge", value


def _lines(name: str, family: Family) -> List[str]:
    lines = [f"# HELP {name} {_help_text(family.help)}"] if family.help else []
    lines.append(f"# TYPE {name} {family.kind}")
    rows = family.samples.items()
    return lines + [f"{name}{_braces(labels)} {_number(value)}" for labels, value in rows]


def _help_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _braces(labels: Labels) -> str:
    quoted = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return "{" + ",".join(quoted) + "}" if labels else ""


def _escaped(value: str) -> str:
    """The whole value: two cut values could be the same sample. A path need not be UTF-8."""
    text = value.encode("utf-8", "backslashreplace").decode()
    return _help_text(text).replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")
