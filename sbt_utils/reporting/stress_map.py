"""The stress map of a trained network: the load of every layer, with intervals and advice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from sbt_utils.measuring.batches import Data, are_inputs_and_labels, as_batches
from sbt_utils.measuring.curves import LoadCurve, interval, load_draws, shares
from sbt_utils.measuring.forward import Forward
from sbt_utils.measuring.layer_choice import Layers
from sbt_utils.measuring.pools import Pool
from sbt_utils.measuring.probing import Probe, noting
from sbt_utils.reporting.advice import Advice, advise, layer_states, percent
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap
from sbt_utils.text import shown

FEWEST_RESAMPLES = 40
"""With fewer, the 2.5 percentile is hardly more than the smallest draw."""

_WIDTH = 96  # characters of a line of text


@dataclass(frozen=True, eq=False, repr=False)
class StressMap:
    """The loads of a network's layers on training and on unseen images, and what stands out.

    Made by `report`.

    Attributes
    ----------
    train, test : LoadCurve
        On the training images and on unseen ones, or None. ``separation`` has one row per draw of
        the bootstrap over images; the mean of the draws, which ``mean``, ``loads`` and
        ``convexity`` describe, is what was measured.
    images : tuple of int
        How many images were measured: training and, where given, unseen ones.

    Examples
    --------
    >>> draws = [[3.0, 3.0, 2.5, 0.0], [3.2, 3.2, 2.5, 0.0]]
    >>> stress = StressMap(LoadCurve(draws, layers=("images", "one", "two", "three")))
    >>> stress.table.state.tolist()
    ['barely used', '', 'overloaded']
    >>> [advice.finding for advice in stress.advice]
    ['lazy', 'overloaded', 'barely used']
    """

    train: LoadCurve
    test: LoadCurve | None = None
    images: tuple[int, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """One row per layer l = 1..L.

        Columns ``layer`` (its name), ``load``, its 95 % interval ``low`` and ``high``, ``share``
        of the whole fall D_0 - D_L; ``unseen_load`` to ``unseen_share`` likewise, where there are
        unseen images; ``state``: ``"overloaded"``, ``"barely used"``, ``"reversed"``,
        ``"unclear"`` or ``""``.
        """
        names = self.train.layers or [""] * len(self.train.mean)
        columns: dict[str, Any] = {"layer": list(names[1:])}
        for prefix, curve in (("", self.train), ("unseen_", self.test)):
            if curve is not None:
                low, high = interval(load_draws(curve))
                columns |= {f"{prefix}load": curve.loads, f"{prefix}low": low}
                columns |= {f"{prefix}high": high, f"{prefix}share": shares(curve)}
        columns["state"] = layer_states(self.train, self.test)
        rows = pd.RangeIndex(1, len(self.train.mean), name="l")
        return pd.DataFrame(columns, index=rows)

    @property
    def regime(self) -> str:
        """``"lazy"``, ``"equiseparated"``, ``"active"`` or ``"unresolved"``, on training images."""
        return self.train.regime

    @property
    def verdict(self) -> str:
        """The regime in words, with the interval of the convexity; says so at an edge."""
        return self.train.verdict

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What stands out and what the theory suggests; empty where nothing does."""
        return advise(self.train, self.test)

    def __repr__(self) -> str:
        """Return the report as text."""
        # Names of nested modules get long; their ends tell them apart.
        names = map(shown, self.table.layer)
        short = (name if len(name) <= 32 else "..." + name[-29:] for name in names)
        table = self.table.assign(layer=list(short))
        title = f"Stress map of {len(table)} layers"
        if self.images:
            kinds = zip(self.images, ("training", "unseen"), strict=False)
            title += ", " + " and ".join(f"{count} {kind} images" for count, kind in kinds)
        formats = {name: percent for name in table if str(name).endswith("share")}
        text = table.to_string(formatters=formats, float_format="{:z.3f}".format, na_rep="-")
        lines = [title, "", text, "", fill(f"On training images: {self.verdict}.", _WIDTH)]
        if self.test is not None:
            lines.append(fill(f"On unseen images: {self.test.verdict}.", _WIDTH))
        lines += ["", *_advice_lines(self.advice)]
        return "\n".join(line.rstrip() for line in lines)

    def to_json(self) -> str:
        """Return the stress map as JSON.

        Returns
        -------
        str
            An object with the keys ``measure``; ``layers`` (names of l = 0..L); ``regime``;
            ``verdict``; ``train`` and ``test``, null or objects with ``images``, ``separation``
            (D_0..D_L), ``separation_low``, ``separation_high``, ``convexity``, ``convexity_low``,
            ``convexity_high``; ``table``, one object per layer with ``l`` and the columns of
            `table`; ``advice``, one object per finding with the attributes of
            `sbt_utils.reporting.advice.Advice`. All intervals are of 95 %; non-finite numbers are
            null.
        """
        counts = [*self.images, None, None]
        content = {
            "measure": self.train.measure,
            "layers": list(self.train.layers),
            "regime": self.regime,
            "verdict": self.verdict,
            "train": _curve_as_dict(self.train, counts[0]),
            "test": None if self.test is None else _curve_as_dict(self.test, counts[1]),
            "table": self.table.reset_index().to_dict(orient="records"),
            "advice": [asdict(advice) for advice in self.advice],
        }
        return json.dumps(_plain(content), indent=1, allow_nan=False, ensure_ascii=False)


def report(
    model: nn.Module,
    train: Data,
    test: Data | Sequence[int] | None = None,
    *,
    layers: Layers | None = None,
    pool: Pool | None = None,
    mask: Callable[[Any], Any] | None = None,
    forward: Forward | None = None,
    labels: Callable[[Any], Any] | None = None,
    resamples: int = 200,
    seed: int = 0,
    batch_size: int = 512,
) -> StressMap:
    """Map the loads of a trained network: which layers do much, which do little, and why.

    One pass over the images, in evaluation mode and without gradients; the model is left as it
    was. Data separation is that of measure ``"trace"``.

    Parameters
    ----------
    model : torch.nn.Module
        As in `sbt_utils.measuring.probe.load_curve`.
    train, test : tuple (images, labels) of arrays, mapping, loader of batches, or data set
        Images that the model was trained on and, if available, images that it has not seen; or
        texts as a tokenizer returns them, or other inputs, in any form that
        `sbt_utils.measuring.probe.load_curve` takes. Without any augmentation: the load curve is
        that of the images as they are. Without unseen images, ``report(model, images, labels)``
        will do.
    layers, pool, mask, forward, labels : optional
        What to measure, and how to call the model, as in `sbt_utils.measuring.probe.load_curve`:
        by default the model's repeated blocks, or its activations where it has none; `labels` is
        a function that finds those of a batch.
    resamples : int
        Draws of the bootstrap over the images, which gives the intervals.
    seed : int
        Of the draws; 0 or above.
    batch_size : int
        Images in one forward pass; a loader sets its own.

    Returns
    -------
    StressMap
        Print it, or take its ``table``, ``advice`` or ``to_json()``;
        `sbt_utils.drawing.stress_map` draws it.

    Raises
    ------
    TypeError, ValueError
        As `sbt_utils.measuring.probe.load_curve`, with a note on which data are at fault; too few
        resamples; a negative seed.

    Notes
    -----
    The intervals tell how the loads of this network would vary with other images, of the same
    number. They do not tell how those of another network would, trained from another seed.

    Examples
    --------
    >>> from sbt_utils.data import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> data = load_data("mnist", train=500, test=500)
    >>> train, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    >>> report(MLP(), train, test).table.layer.tolist()[:2]
    ['activation1', 'activation2']
    """
    if not isinstance(resamples, int | np.integer) or resamples < FEWEST_RESAMPLES:
        raise ValueError(f"resamples={resamples!r}: give an integer of {FEWEST_RESAMPLES} or more")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed={seed!r}: give an integer of at least 0")
    probe = Probe(model, layers, pool, mask, forward, labels)
    parts: dict[str, Any] = {"train": train} | ({} if test is None else {"test": test})
    if are_inputs_and_labels(train, test):
        parts = {"train": (train, test)}
    curves, counts = [], []
    for number, (name, data) in enumerate(parts.items()):
        with noting(f"in the {name} data"):
            batches = as_batches(data, labels, batch_size)
            scatters = probe.statistics(batches, lambda name: SampledScatter())
            for layer, scatter in scatters.items():
                with noting(f"in layer '{shown(layer)}'"):
                    scatter.scatter()
        draws = bootstrap(list(scatters.values()), resamples, [seed, number])
        curves.append(LoadCurve(draws, "trace", tuple(scatters)))
        counts.append(int(scatter.counts.sum()))
    return StressMap(curves[0], curves[1] if len(curves) > 1 else None, tuple(counts))


def _curve_as_dict(curve: LoadCurve, images: int | None) -> dict[str, Any]:
    low, high = interval(np.atleast_2d(curve.separation))
    convexity_low, convexity_high = curve.convexity_interval or (None, None)
    return {
        "images": images,
        "separation": curve.mean.tolist(),
        "separation_low": low.tolist(),
        "separation_high": high.tolist(),
        "convexity": curve.convexity,
        "convexity_low": convexity_low,
        "convexity_high": convexity_high,
    }


def _plain(content: Any) -> Any:
    """Return content for JSON, with null for non-finite numbers."""
    if isinstance(content, dict):
        return {name: _plain(part) for name, part in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(part) for part in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content


def _advice_lines(findings: Sequence[Advice]) -> list[str]:
    if not findings:
        return ["Nothing stands out."]
    lines = ["What stands out, and what to try (suggestions, not certainties):"]
    for advice in findings:
        text = f"- {advice.finding.capitalize()}. {advice.text}"
        lines.append(fill(text, _WIDTH, subsequent_indent="  "))
        text = f"{advice.evidence}. Basis: {advice.basis}."
        lines.append(fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    "))
    return lines
