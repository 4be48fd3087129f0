"""Several stress maps beside each other: of two checkpoints, seeds or models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from textwrap import fill

import numpy as np
import pandas as pd

from sbt_utils.measuring.curves import interval, load_draws
from sbt_utils.reporting.states import fall
from sbt_utils.reporting.stress_map import StressMap
from sbt_utils.reporting.words import WIDTH
from sbt_utils.text import shown


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Stress maps under their labels. Made by `compare`.

    Attributes
    ----------
    maps : mapping of str to StressMap
        The maps; others are compared with the first.

    Examples
    --------
    >>> from sbt_utils.measuring.curves import LoadCurve
    >>> one, two = [[3.0, 2.0, 0.0], [3.2, 2.2, 0.0]], [[3.0, 2.5, 0.0], [3.2, 2.7, 0.0]]
    >>> maps = {"before": StressMap(LoadCurve(one)), "after": StressMap(LoadCurve(two))}
    >>> compare(maps).table[("after - before", "load")].round(2).tolist()
    [-0.5, 0.5]
    """

    maps: Mapping[str, StressMap]

    @property
    def summary(self) -> pd.DataFrame:
        """One row per map, on its training inputs.

        Columns ``fall`` of D in all, with its 95 % interval ``low`` and ``high``; ``convexity``;
        ``regime``; ``stands_out``, the findings of `StressMap.advice`.
        """
        rows = {
            label: [
                *((np.nan,) * 3 if stress.train is None else fall(stress.train)),
                np.nan if stress.train is None else stress.train.convexity,
                stress.regime,
                ", ".join(advice.finding for advice in stress.advice),
            ]
            for label, stress in self.maps.items()
        }
        columns = ["fall", "low", "high", "convexity", "regime", "stands_out"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    @property
    def table(self) -> pd.DataFrame:
        """One row per layer that all maps have by the same name, with a load on training inputs.

        For each label, and for each difference from the first as ``"label - first"``, the columns
        ``load``, ``low`` and ``high`` (its 95 % interval).
        """
        draws = {label: _draws(stress) for label, stress in self.maps.items()}
        first, *others = draws
        names = [name for name in draws[first] if all(name in draws[other] for other in others)]
        loads = {
            label: np.array([of[name] for name in names]) if names else np.empty((0, 1))
            for label, of in draws.items()
        }
        loads |= {f"{label} - {first}": loads[label] - loads[first] for label in others}
        columns: dict[tuple[str, str], np.ndarray] = {}
        for label, values in loads.items():
            low, high = interval(values.T)
            columns |= {(label, "load"): values.mean(axis=1), (label, "low"): low}
            columns |= {(label, "high"): high}
        return pd.DataFrame(columns, index=pd.Index(names, name="layer"))

    def __repr__(self) -> str:
        """Return the comparison as text."""
        findings = [fill(line, WIDTH, subsequent_indent="  ") for line in self._findings]
        loads = "No layer has the same name in all."
        if len(self.table):
            loads = f"Loads of the layers that all have:\n\n{self._loads.to_string()}"
        return "\n".join([self._numbers.to_string(), "", *findings, "", loads])

    def _repr_html_(self) -> str:
        """Return the tables and the picture for a notebook; what is too wide is scrolled."""
        from sbt_utils.reporting.picture import as_image, drawn_loads

        table = self.table
        findings = "".join(f"<li>{escape(line)}</li>" for line in self._findings)
        page = f"{_scrolled(self._numbers)}<ul>{findings}</ul>"
        if len(table):
            named = escape(f"Loads of {', '.join(map(shown, self.maps))}, layer by layer")
            page += as_image(drawn_loads({n: table[n] for n in self.maps}), named)
            page += _scrolled(self._loads)
        return f"<div>{page}</div>"

    @property
    def _numbers(self) -> pd.DataFrame:
        """The numbers of the summary, as text."""
        summary = self.summary
        falls = summary[["fall", "low", "high"]].itertuples(index=False)
        columns = {
            "fall of D": [_in_words(*row) for row in falls],
            "convexity": ["-" if np.isnan(c) else f"{c:z.3f}" for c in summary.convexity],
            "regime": summary.regime.tolist(),
        }
        return pd.DataFrame(columns, index=[shown(label) for label in summary.index])

    @property
    def _findings(self) -> list[str]:
        """What stands out in each map, in one line."""
        found = self.summary.stands_out
        return [f"{shown(label)}: {text or 'nothing stands out'}." for label, text in found.items()]

    @property
    def _loads(self) -> pd.DataFrame:
        """The table of loads as text, one column per map and difference."""
        table, labels = self.table, list(self.maps)
        names = {label: _end(label, 24) for label in labels}
        first = _end(labels[0], 14)
        names |= {f"{label} - {labels[0]}": f"{_end(label, 14)} - {first}" for label in labels[1:]}
        cells = [[_in_words(*row) for row in table[name].itertuples(index=False)] for name in names]
        layers = [_end(name, 32) for name in table.index]
        return pd.DataFrame(dict(enumerate(cells)), index=layers).set_axis(
            [*names.values()], axis=1
        )


def compare(maps: Mapping[str, StressMap]) -> Comparison:
    """Compare stress maps: of checkpoints, of seeds, of models.

    Parameters
    ----------
    maps : mapping of str to StressMap
        Two or more, under their labels, with equally many draws of the bootstrap.

    Returns
    -------
    Comparison
        Print it, or take its ``summary`` and its ``table`` of loads with their differences;
        `sbt_utils.drawing.compared_loads` draws it.

    Raises
    ------
    TypeError, ValueError
        Something else than stress maps; fewer than two; other numbers of draws.

    Notes
    -----
    Draws of maps that `sbt_utils.reporting.stress_map.report` made of the same inputs with the same
    seed go together, so that what the choice of inputs does to both is not counted in the interval
    of their difference.
    """
    if not isinstance(maps, Mapping) or len(maps) < 2:
        raise ValueError('maps: give two or more under their labels, {"before": ..., "after": ...}')
    for label, stress in maps.items():
        if not isinstance(stress, StressMap):
            kind = type(stress).__name__
            raise TypeError(f"maps: {shown(label)} is {kind}; give what report() returns")
    draws = {len(load_draws(m.train)) for m in maps.values() if m.train is not None}
    if len(draws) > 1:
        counts = " and ".join(map(str, sorted(draws)))
        raise ValueError(f"maps: of {counts} draws; report() all with the same resamples")
    return Comparison(dict(maps))


def _in_words(value: float, low: float, high: float) -> str:
    return "-" if np.isnan(value) else f"{value:z.3f} ({low:z.3f} to {high:z.3f})"


def _end(name: str, longest: int) -> str:
    """Return a name, or its end, which tells it from others."""
    name = shown(name)
    return name if len(name) <= longest else f"...{name[3 - longest :]}"


def _scrolled(table: pd.DataFrame) -> str:
    """Return a table for a page that may be narrower, each number beside its interval."""
    rows = table.replace(" ", "\N{NO-BREAK SPACE}", regex=True).to_html(border=0)
    return f'<div style="overflow-x: auto">{rows}</div>'


def _draws(stress: StressMap) -> dict[str, np.ndarray]:
    """Return the draws of the load of each layer that has one, by its name."""
    if stress.train is None:
        return {}
    loads = load_draws(stress.train).T
    names = stress.train.layers[1:] or [f"l = {layer}" for layer in range(1, len(loads) + 1)]
    return dict(zip(names, loads, strict=True))
