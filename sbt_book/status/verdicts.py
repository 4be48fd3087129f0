"""What of the paper is reproduced: its numbers and statements beside ours, each with a verdict.

The limits below decide, and nothing else.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from sbt_utils.results import load

LIMITS = {
    "law": 0.98,  # |r| beyond it as a rule, at suitable learning rates: He & Su, PNAS (2023)
    "votes": 0.8,  # share of neighbouring cells in which a knob has to act as stated
    "agree": 0.9,  # share of cells, or rank correlation, that counts as the same
    "points": 1.2,  # accuracy, percentage points: 3 standard errors of 5,000 test digits at 92 %
    "straight": 0.1,  # convexity of the best networks: twice the tolerance of equiseparated
    "shift": 0.1,  # of a GPU's networks, in standard deviations over the seeds of a cell
    "loads": 1e-9,  # of a chain at rest, in units of y
    "balance": 0.001,  # of the force under which a shaken block stays, in units of k y
}
"""How far ours may be from what was published, or what it has to reach."""

VOTES: Any = {"least": LIMITS["votes"], "digits": ".0%"}
SHARE: Any = {"least": LIMITS["agree"], "digits": ".0%"}
"""What a `Finding` accepts of a share of neighbours, and of a share of cells."""

DEVIATIONS = {"dropout": (0.012, 0.03), "learning_rate": (0.02, 0.04)}
"""Deviation of the scaled load curves: mean over the cells, and of a single cell."""

NOT_YET = ("ten convolutional networks for each level of dropout, instead of two",)
"""Experiments of the paper that this book does not cover yet."""

MARKS = {"reproduced": "✓", "differs": "≠", "not yet": "○"}
"""A sign for each verdict, for those who do not see its colour."""


@dataclass(frozen=True)
class Finding:
    """A number or a statement of the paper, in words (`what`), and ours.

    Attributes
    ----------
    ours : float, optional
        None where nothing was computed yet; `digits` is its format.
    spread : float, optional
        Of ours: a standard deviation over networks or hands, or a standard error.
    published, limit : float, optional
        None where the paper makes a statement without a number; how far ours may be from it.
    least, most : float, optional
        The ends, both included, of the range that ours has to be in.
    why : str
        What is known of the reason, should ours differ.
    """

    what: str
    ours: float | None = None
    spread: float | None = None
    published: float | None = None
    limit: float | None = None
    least: float | None = None
    most: float | None = None
    digits: str = ".3f"
    why: str = ""

    @property
    def verdict(self) -> str:
        """``"reproduced"``, ``"differs"`` (an undefined number does) or ``"not yet"``."""
        if self.ours is None:
            return "not yet"
        tests = [not np.isnan(self.ours)]
        tests += [self.ours >= self.least] if self.least is not None else []
        tests += [self.ours <= self.most] if self.most is not None else []
        if self.limit is not None and self.published is not None:
            tests += [abs(self.ours - self.published) <= self.limit]
        return "reproduced" if all(tests) else "differs"

    @property
    def accepted(self) -> str:
        """The range of the verdict "reproduced", in words."""
        least, most, limit = (_short(x, self.digits) for x in (self.least, self.most, self.limit))
        if least and most:
            return f"{least} to {most}"
        words = {"at least": least, "at most": most, "within": limit}
        return next((f"{word} {end}" for word, end in words.items() if end), "")

    @property
    def row(self) -> dict[str, str]:
        """What a table says of it."""
        spread = f" ± {_written(self.spread, self.digits)}" if self.spread is not None else ""
        difference = ""
        if self.ours is not None and self.published is not None:
            difference = _written(self.ours - self.published, self.digits, sign="+")
        verdict = f"{MARKS[self.verdict]} {self.verdict}"
        if self.why and self.verdict == "differs":
            verdict += f": {self.why}"
        return {
            "what": self.what,
            "published": _written(self.published, self.digits),
            "ours": _written(self.ours, self.digits) + spread,
            "difference": difference,
            "accepted": self.accepted,
            "verdict": verdict,
        }


def status_table(findings: Sequence[Finding], uuid: str) -> Styler:
    """Draw findings as a table that a page can style, with a class for each verdict.

    Columns that are empty throughout are left out. `uuid` makes the table the same each time.
    """
    table = pd.DataFrame([finding.row for finding in findings])
    verdicts = [finding.verdict.replace(" ", "-") for finding in findings]
    return as_cards(table.loc[:, (table != "").any()], uuid, verdicts)


def as_cards(table: pd.DataFrame, uuid: str, verdicts: Sequence[str] = ()) -> Styler:
    """Draw a table, without its index, whose rows become cards on a phone.

    Cells have a class for the first word of their column, by which a page names them; those of the
    last column one of `verdicts` too. `uuid` makes the table the same each time.

    Examples
    --------
    >>> html = as_cards(pd.DataFrame({"wall time": [3]}), "example").to_html()
    >>> "data row0 col0 of-wall" in html
    True
    """
    words = {name: f"of-{name.split()[0]}" for name in table.columns}
    classes = pd.DataFrame(words, index=table.index)
    if verdicts:
        classes[table.columns[-1]] += [f" {verdict}" for verdict in verdicts]
    style = table.style.hide(axis="index").set_uuid(uuid).set_td_classes(classes)
    return style.set_table_attributes('class="status"')


def count(findings: Iterable[Finding]) -> dict[str, int]:
    """Count the verdicts, for each word of `MARKS`."""
    verdicts = [finding.verdict for finding in findings]
    return {verdict: verdicts.count(verdict) for verdict in MARKS}


def provenance(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the provenance that results files state, one row per file.

    The commit of the code, versions of Python and packages, the machine, the device or the card's
    name, minutes it took; ``-`` for what a file does not say.
    """
    rows = []
    for path in paths:
        attributes = load(path).attrs
        packages = {"python": attributes["python"]} | json.loads(attributes["versions"])
        rows.append(
            {
                "file": Path(path).name,
                "commit": attributes["commit"],
                "versions": ", ".join(f"{name} {number}" for name, number in packages.items()),
                "machine": attributes["machine"],
                "device": attributes.get("card")
                or json.loads(attributes["configuration"]).get("device", "-"),
                "minutes": f"{attributes['wall_time_seconds'] / 60:.0f}",
            }
        )
    return pd.DataFrame(rows)


def _written(number: float | None, digits: str, sign: str = "") -> str:
    return "" if number is None else f"{number:{sign}z{digits}}"


def _short(number: float | None, digits: str) -> str:
    """Return a limit without needless digits: 80 %, 0.02, 1e-09."""
    return "" if number is None else f"{number:{'.0%' if digits.endswith('%') else 'g'}}"
