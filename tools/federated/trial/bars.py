"""The bars of the trial: held-out OKS of each model at each site, and what has to hold."""

from __future__ import annotations

from html import escape
from typing import Any, List, Mapping, Sequence, Tuple

import numpy as np

BASE, POOLED, MEAN = "base", "pooled", "average"
MOST_BEHIND = 0.01  # of pooled training, of OKS
Table = Mapping[str, Mapping[str, float]]  # model -> site -> OKS


def bars(table: Table, sites: Sequence[str]) -> List[Tuple[str, bool, str]]:
    """Each bar: what has to hold, whether it does, and its figures.

    Args:
        table: of base, pooled, average, and `alone-SITE` for each site.
        sites: names.
    """
    mean, base = table[MEAN], table[BASE]
    whole = {name: float(np.mean([row[s] for s in sites])) for name, row in table.items()}
    behind = (whole[POOLED] - whole[MEAN]) / whole[POOLED]
    found = [
        (
            "within 1 % OKS of pooled training, all sites together",
            behind <= MOST_BEHIND,
            f"{whole[MEAN]:.4f} against {whole[POOLED]:.4f}: {-behind:+.2%}",
        )
    ]
    for site in sites:
        others = [s for s in sites if s != site]
        alone = float(np.mean([table[f"alone-{site}"][s] for s in others]))
        own = float(np.mean([mean[s] for s in others]))
        text = f"{own:.4f} against {alone:.4f}"
        found.append((f"better than {site} alone on the others' recordings", own > alone, text))
    for site in sites:
        text = f"{mean[site]:.4f} against {base[site]:.4f}"
        found.append((f"not worse than the base at {site}", mean[site] >= base[site], text))
    return found


def text(result: Mapping[str, Any]) -> str:
    """The result for a terminal."""
    sites: List[str] = result["sites"]
    lines = ["held-out OKS     " + "".join(f"{s:>9}" for s in [*sites, "mean"])]
    for name, row in result["oks"].items():
        values = [row[s] for s in sites]
        lines.append(f"{name:17}" + "".join(f"{v:9.4f}" for v in [*values, np.mean(values)]))
    for what, holds, figures in result["bars"]:
        lines.append(f"{'holds' if holds else 'FAILS'}: {what}: {figures}")
    lines += [f"uploaded: {line}" for line in result["uploads"]]
    lines.append(f"looks at the held-out recordings in this folder: {result['looks']}")
    return "\n".join(lines)


def page(result: Mapping[str, Any]) -> str:
    """The result as a page that needs nothing from outside."""
    body = escape(text(result))
    note = escape(result["note"])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Four sites</title>'
        "<style>:root{color-scheme:light dark}body{font:16px/1.45 system-ui;max-width:900px;"
        "margin:28px auto;padding:0 16px}pre{overflow-x:auto}</style>"
        f"<h1>Four sites that learn without sharing pictures</h1><p>{note}</p>"
        f"<pre>{body}</pre></html>\n"
    )


def upload(file_bytes: int, weights: int) -> str:
    """A line that shows that a file is its parameters."""
    rest = file_bytes - 4 * weights
    return (
        f"{file_bytes} bytes = {weights} weights of 4 bytes + {rest} bytes of names and signature"
    )
