"""What of the paper is reproduced: its numbers and statements beside ours, each with a verdict.

The limits below decide, and nothing else. They accept what the authors' own figures say, and where
a null model passes them as well, there is no verdict in favour.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from sbt_utils.measuring.curves import REGIME_TOLERANCE
from sbt_utils.results import load

LIMITS = {
    "law": 0.98,  # |r| beyond it as a rule, at suitable learning rates: He & Su, PNAS (2023)
    "votes": 0.8,  # share of neighbouring cells in which a knob has to act as stated
    "agree": 0.9,  # share of cells, or rank correlation, that counts as the same
    "points": 1.2,  # accuracy, percentage points: 3 standard errors of 5,000 test digits at 92 %
    "convexity": REGIME_TOLERANCE,  # of a curve, from the published one
    "errors": 2.0,  # standard errors that two means of seeds may be apart, if that is more
    "hands": 2.0,  # standard deviations over the hands that one published pull may be off
    "straight": REGIME_TOLERANCE,  # convexity of the most accurate networks
    "shift": 0.1,  # of a GPU's networks, in standard deviations over the seeds of a cell
    "loads": 1e-9,  # of a chain at rest, in units of y
    "balance": 0.001,  # of the force under which a shaken block stays, in units of k y
}
"""How far ours may be from what was published, or what it has to reach."""

VOTES: Any = {"least": LIMITS["votes"], "digits": ".0%"}
SHARE: Any = {"least": LIMITS["agree"], "digits": ".0%"}
"""What a `Finding` accepts of a share of neighbours, and of a share of cells."""

DEVIATIONS = {
    "dropout": (0.012, 0.03),
    "learning_rate": (0.02, 0.04),
    "data_noise": (0.02, 0.04),
    "batch_size": (0.02, 0.04),
}
"""Deviation of the scaled load curves: mean over the cells, and of a single cell.

Those of the last two were those of the learning rate before their panels were at hand as numbers.
"""

NOT_YET = ("ten convolutional networks for each level of dropout, instead of two",)
"""Experiments of the paper that this book does not cover yet."""

WORDS = {
    "paper": ("reproduced", "differs"),
    "theory": ("agrees", "disagrees"),
    "prediction": ("held", "failed"),
}
"""What a finding is about, and its verdicts: statements of the paper; checks of this book's code
against theory or of its machines against one another; predictions of this book."""

REFERENCES = {"paper": "published", "theory": "theory", "prediction": "predicted"}
"""What the number is called that ours is held against."""

MARKS = {
    "reproduced": "✓",
    "agrees": "✓",
    "held": "✓",
    "undecided": "~",
    "differs": "≠",
    "disagrees": "≠",
    "failed": "≠",
    "not yet": "○",
}
"""A sign for each verdict, for those who do not see its colour."""

_COLOURS = {"agrees": "reproduced", "held": "reproduced", "disagrees": "differs"}
_COLOURS |= {"failed": "differs"}


@dataclass(frozen=True)
class Finding:
    """A number or a statement, in words (`what`), and ours.

    Attributes
    ----------
    ours : float, optional
        None where nothing was computed yet; `digits` is its format.
    spread : float, optional
        Of ours: a standard deviation over networks or hands, or a standard error.
    published, limit : float, optional
        None where the paper makes a statement without a number; how far ours may be from it. For a
        finding about theory or a prediction, the number that it gives.
    least, most : float, optional
        The ends, both included, of the range that ours has to be in.
    why : str
        What is known of the reason, should ours differ or be undecided.
    null : float, optional
        What a null model scores in place of ours; `null_model` names it in a word or two.
    about : {"paper", "theory", "prediction"}
        A key of `WORDS`.
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
    null: float | None = None
    null_model: str = ""
    about: str = "paper"

    @property
    def verdict(self) -> str:
        """The first word of `WORDS` where ours is accepted, the second where it is not.

        An undefined number is not. ``"undecided"`` if the null model would be accepted, too, and
        ``"not yet"`` without a number of ours.
        """
        if self.ours is None:
            return "not yet"
        favourable, unfavourable = WORDS[self.about]
        if not self._accepts(self.ours):
            return unfavourable
        return "undecided" if self.null is not None and self._accepts(self.null) else favourable

    def _accepts(self, number: float) -> bool:
        tests = [not np.isnan(number)]
        tests += [number >= self.least] if self.least is not None else []
        tests += [number <= self.most] if self.most is not None else []
        if self.limit is not None and self.published is not None:
            tests += [abs(number - self.published) <= self.limit]
        return all(tests)

    @property
    def accepted(self) -> str:
        """The range of a favourable verdict, in words."""
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
        if self.why and self.verdict not in (WORDS[self.about][0], "not yet"):
            verdict += f": {self.why}"
        null = _written(self.null, self.digits)
        return {
            "what": self.what,
            REFERENCES[self.about]: _written(self.published, self.digits),
            "ours": _written(self.ours, self.digits) + spread,
            "difference": difference,
            "null": null + (f" ({self.null_model})" if null and self.null_model else ""),
            "accepted": self.accepted,
            "verdict": verdict,
        }


def status_table(findings: Sequence[Finding], uuid: str) -> Styler:
    """Draw findings of one kind as a table that a page can style, with a class for its colour.

    Columns that are empty throughout are left out. `uuid` makes the table the same each time.
    """
    table = pd.DataFrame([finding.row for finding in findings])
    verdicts = [_COLOURS.get(f.verdict, f.verdict).replace(" ", "-") for f in findings]
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
    return "" if number is None else f"{number:{digits if digits.endswith('%') else 'g'}}"
