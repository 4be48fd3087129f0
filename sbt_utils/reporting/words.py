"""A stress map in words: what is found first, then the numbers, then the evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from textwrap import fill, shorten
from typing import Any

import numpy as np
import pandas as pd

from sbt_utils.measuring.curves import LoadCurve, interval
from sbt_utils.reporting.advice import Advice, percent
from sbt_utils.reporting.states import floor
from sbt_utils.text import shown

MOST_LINES = 5
"""Lines of findings before the table."""

WIDTH = 96  # characters of a line of text


def headlines(findings: Sequence[Advice]) -> list[str]:
    """Return the findings in one line each, the most severe first, and how many are left out."""
    if not findings:
        return ["Nothing stands out."]
    lines = []
    if not any(advice.kind == "advice" for advice in findings):
        lines.append("Nothing stands out that calls for a change.")
    lines += [shorten(f"- {_title(advice)}. {_first(advice)}", WIDTH) for advice in findings]
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES + 1
        lines = [*lines[: MOST_LINES - 1], f"- {left} more, below."]
    return lines


def numbers(table: pd.DataFrame) -> str:
    """Return the table of a stress map as text."""
    # Names of nested modules get long; their ends tell them apart.
    names = map(shown, table.layer)
    short = [name if len(name) <= 32 else "..." + name[-29:] for name in names]
    formats = {name: _share for name in table if str(name).endswith("share")}
    return table.assign(layer=short).to_string(
        formatters=formats, float_format="{:z.3f}".format, na_rep="-"
    )


def evidence(findings: Sequence[Advice]) -> list[str]:
    """Return the findings with their evidence, in lines."""
    if not findings:
        return []
    lines = ["What stands out, and what to try (suggestions, not certainties):"]
    for advice in findings:
        text = f"- {_title(advice)}. {advice.text}"
        lines.append(fill(text, WIDTH, subsequent_indent="  "))
        text = f"{advice.evidence}. Basis: {advice.basis}."
        lines.append(fill(text, WIDTH, initial_indent="    ", subsequent_indent="    "))
    return lines


def page(title: str, findings: Sequence[Advice], image: str, text: str) -> str:
    """Return a stress map for a page: findings, picture, and the text to unfold.

    It takes its colours from the page, be it light or dark.
    """
    items = "".join(f"<li>{escape(line.removeprefix('- '))}</li>" for line in headlines(findings))
    return (
        f"<div><p><strong>{escape(title)}</strong></p><ul>{items}</ul>{image}"
        "<details><summary>Numbers and evidence</summary>"
        f'<pre style="background: none; color: inherit">{escape(text)}</pre></details></div>'
    )


def _title(advice: Advice) -> str:
    seen = advice.kind == "observation"
    return f"Observed: {advice.finding}" if seen else advice.finding.capitalize()


def _first(advice: Advice) -> str:
    """Return the first sentence of a finding."""
    return advice.text.partition(". ")[0].rstrip(".") + "."


def _share(value: float) -> str:
    return percent(value) if value == value else "-"


def part_of(
    curve: LoadCurve | None, images: int | None, classes: int | None, has: Sequence[bool]
) -> dict[str, Any]:
    """Return what JSON tells of the curve of some inputs, whose layers have a D or not."""
    rows = np.full((3, len(has)), np.nan)
    convexity, bounds = np.nan, None
    if curve is not None:
        rows[:, has] = curve.mean, *interval(np.atleast_2d(curve.separation))
        convexity, bounds = curve.convexity, curve.convexity_interval
    mean, low, high = rows.tolist()
    return {
        "images": images,
        "classes": classes,
        "floor": floor(images, classes) if images and classes else None,
        "separation": mean,
        "separation_low": low,
        "separation_high": high,
        "convexity": convexity,
        "convexity_low": bounds and bounds[0],
        "convexity_high": bounds and bounds[1],
    }


def as_json(content: Mapping[str, Any]) -> str:
    """Return content as JSON, with null for non-finite numbers."""
    return json.dumps(_plain(content), indent=1, allow_nan=False, ensure_ascii=False)


def _plain(content: Any) -> Any:
    """Return content for JSON, with null for non-finite numbers."""
    if isinstance(content, Mapping):
        return {name: _plain(part) for name, part in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(part) for part in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
