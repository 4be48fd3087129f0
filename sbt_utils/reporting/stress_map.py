"""The stress map of a trained network: the load of every layer, with intervals and advice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from html import escape
from itertools import compress
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from sbt_utils.language.probe import is_of_tokens, token_probe
from sbt_utils.language.tasks import Classes
from sbt_utils.language.tokens import Tokenizer
from sbt_utils.measuring.curves import LoadCurve, interval, load_draws
from sbt_utils.measuring.probing import Probe
from sbt_utils.models.batches import Data, are_inputs_and_labels, as_batches
from sbt_utils.models.forward import Forward
from sbt_utils.models.layer_choice import Layers
from sbt_utils.models.pools import Pool
from sbt_utils.reporting import words
from sbt_utils.reporting.advice import Advice, advise, shape
from sbt_utils.reporting.measured import measured
from sbt_utils.reporting.states import (
    fall,
    is_resolved,
    layer_states,
    resolved_shares,
)
from sbt_utils.text import quoted, shown

FEWEST_RESAMPLES = 40
"""With fewer, the 2.5 percentile is hardly more than the smallest draw."""

MOST_RESAMPLES = 10_000
"""More take memory, and make the intervals no better than the inputs allow."""


@dataclass(frozen=True, eq=False, repr=False)
class StressMap:
    """The loads of a network's layers on training and on unseen inputs, and what stands out.

    Made by `report`.

    Attributes
    ----------
    train, test : LoadCurve or None
        On the training inputs and on unseen ones, of the layers that have a D on both; `test` is
        None without unseen inputs, both are if fewer than two layers have a D. ``separation`` has
        one row per draw of the bootstrap over inputs; the mean of the draws, which ``mean``,
        ``loads`` and ``convexity`` describe, is what was measured.
    images, classes : tuple of int
        How many inputs were measured, and of how many classes: training and, where given, unseen
        ones.
    layers : tuple of str
        Names of all layers l = 0..L.
    undefined : mapping of str to str
        Of the layers without a D, their state: ``"dead"``, their features are the same for every
        input; ``"mixed"``, the means of all classes coincide, D = inf; ``"collapsed"``, the inputs
        of each class coincide, D = -inf.
    rule : str
        How the layers were chosen.
    network : str
        ``"perceptron"``, in which this book measured what noise does; ``"language model"``; ``""``.
    notes : tuple of str
        What was left out.
    unit : str
        What was counted: ``"inputs"``, or ``"tokens"`` of a language model.

    Examples
    --------
    >>> draws = [[3.0, 3.0, 2.5, 0.0], [3.2, 3.2, 2.5, 0.0]]
    >>> stress = StressMap(LoadCurve(draws, layers=("images", "one", "two", "three")))
    >>> stress.table.state.tolist()
    ['idle', '', 'overloaded']
    >>> [advice.finding for advice in stress.advice]
    ['idle', 'overloaded']
    """

    train: LoadCurve | None
    test: LoadCurve | None = None
    images: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    undefined: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    network: str = ""
    notes: tuple[str, ...] = ()
    unit: str = "inputs"

    @property
    def table(self) -> pd.DataFrame:
        """One row per layer l = 1..L.

        Columns ``layer`` (its name), ``load``, its 95 % interval ``low`` and ``high``, ``share``
        of the whole fall D_0 - D_L; ``unseen_load`` to ``unseen_share`` likewise, where there are
        unseen inputs; ``state``: ``"dead"``, ``"mixed"``, ``"collapsed"``, ``"idle"``,
        ``"overloaded"``, ``"reversed"``, ``"unclear"`` or ``""``. A load counts
        from the last layer before that has a D; it is nan for a layer that has none itself, or has
        no such layer before it. Shares are nan unless D surely falls.
        """
        names = self._names
        has = [name not in self.undefined for name in names]
        places = list(compress(range(len(names)), has))[1:]
        columns: dict[str, Any] = {"layer": list(names)}
        for prefix, curve in self._curves.items():
            low, high, load, share = np.full((4, len(names)), np.nan)
            if curve is not None:
                low[places], high[places] = interval(load_draws(curve))
                load[places], share[places] = curve.loads, resolved_shares(curve)
            columns |= {f"{prefix}load": load, f"{prefix}low": low}
            columns |= {f"{prefix}high": high, f"{prefix}share": share}
        states = [self.undefined.get(name, "") for name in names]
        if self.train is not None:
            for place, state in zip(places, layer_states(self.train, self.test), strict=True):
                states[place] = state
        columns["state"] = states
        return pd.DataFrame(columns, index=pd.RangeIndex(len(names), name="l")).iloc[1:]

    @property
    def regime(self) -> str:
        """``"lazy"``, ``"equiseparated"``, ``"active"`` or ``"unresolved"``, on training inputs."""
        return self.train.regime if self.train and is_resolved(self.train) else "unresolved"

    @property
    def verdict(self) -> str:
        """The regime in words, with the interval of the convexity; says so at an edge."""
        return _verdict(self.train)

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What stands out and what is suggested, the most severe first; empty where nothing."""
        return advise(
            self.train,
            self.test,
            sizes=tuple(zip(self.images, self.classes, strict=False))[: 1 if self._tokens else 2],
            undefined=self.undefined,
            network=self.network,
        )

    @property
    def title(self) -> str:
        """How many layers were measured, and on how many inputs."""
        title = f"Stress map of {len(self._names) - 1} layers"
        if self.images:
            kinds = zip(self.images, ("training", "unseen"), strict=False)
            title += ", " + " and ".join(f"{count} {kind} {self.unit}" for count, kind in kinds)
        return title

    def __repr__(self) -> str:
        """Return the report as text."""
        findings = self.advice
        lines = [self.title, "", *words.headlines(findings), "", words.numbers(self.table), ""]
        said = [f"Layers: {shown(self.rule, 300)}; layers= chooses others."] if self.rule else []
        said += [f"On training {self.unit}: {self.verdict}."]
        if meaning := shape(self.train, self.network):
            said[-1] = f"{said[-1][:-1]}: {meaning}."
        if self.test is not None:
            said += [f"On unseen {self.unit}: {_verdict(self.test)}."]
        if "block" in self.rule and not self._tokens:
            said += ["Whether a block can go, sbt_utils.removal measures; its load does not tell."]
        said += [f"Note: {note}." for note in self.notes]
        lines += [fill(line, words.WIDTH) for line in said]
        if findings:
            lines += ["", *words.evidence(findings)]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """Return the findings and the picture for a notebook, with the text to unfold."""
        from sbt_utils.reporting.picture import as_image, drawn_table  # Matplotlib is slow to load

        findings = self.advice
        description = escape(f"{self.title}: {self.verdict}")
        image = as_image(drawn_table(self.table), description)
        return words.page(self.title, findings, image, repr(self))

    def to_json(self) -> str:
        """Return the stress map as JSON.

        Returns
        -------
        str
            An object with the keys ``measure``; ``layers`` (names of l = 0..L); ``regime``;
            ``verdict``; ``train`` and ``test``, null or objects with ``images``, ``classes``,
            ``floor`` (D of shuffled labels), ``separation`` (D_0..D_L), ``separation_low``,
            ``separation_high``, ``convexity``, ``convexity_low``, ``convexity_high``; ``table``,
            one object per layer with ``l`` and the columns of `table`; ``advice``, one object per
            finding with the attributes of `sbt_utils.reporting.advice.Advice`; ``undefined``,
            ``rule``, ``network``, ``notes``, ``unit`` as the attributes. All intervals are of 95 %;
            non-finite numbers are null.
        """
        return words.as_json(
            {
                "measure": "trace" if self.train is None else self.train.measure,
                "layers": list(self._names) if any(self._names) else [],
                "regime": self.regime,
                "verdict": self.verdict,
                "train": self._part(0),
                "test": self._part(1),
                "table": self.table.reset_index().to_dict(orient="records"),
                "advice": [asdict(advice) for advice in self.advice],
                "undefined": dict(self.undefined),
                "rule": self.rule,
                "network": self.network,
                "notes": list(self.notes),
                "unit": self.unit,
            }
        )

    @property
    def _names(self) -> tuple[str, ...]:
        if self.layers or self.train is None:
            return self.layers
        return self.train.layers or ("",) * len(self.train.mean)

    @property
    def _tokens(self) -> bool:
        """Whether classes are tokens, which no one got wrong, rather than labels."""
        return self.unit == "tokens"

    @property
    def _curves(self) -> dict[str, LoadCurve | None]:
        """The curves by the prefix of their columns in the table."""
        unseen = self.test is not None or len(self.images) > 1
        return {"": self.train} | ({"unseen_": self.test} if unseen else {})

    def _part(self, number: int) -> dict[str, Any] | None:
        """Return what JSON tells of the training inputs, 0, or the unseen ones, 1."""
        if number >= len(self._curves):
            return None
        curve = list(self._curves.values())[number]
        images, classes = (next(iter(n[number:]), None) for n in (self.images, self.classes))
        has = [name not in self.undefined for name in self._names]
        return words.part_of(curve, images, classes, has)


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
    tokenizer: Tokenizer | None = None,
    classes: Classes = 20,
    resamples: int = 200,
    seed: int = 0,
    batch_size: int | None = None,
) -> StressMap:
    """Map the loads of a trained network: which layers do much, which do little, and why.

    One pass over the inputs, in evaluation mode and without gradients; the model is left as it
    was. Data separation is that of measure ``"trace"``. It is exact while the class means of all
    layers fit in 400 MB, or if inputs come sorted by class; else it is an estimate, with a note on
    its error. Beside them, about 1 KB per input and layer is kept for the intervals.

    Of a language model, causal or masked, each token is a sample, and its class is the token behind
    it, or the one that is masked. Everything else is as in
    `sbt_utils.language.curves.token_curves`; intervals are over texts.

    Parameters
    ----------
    model : torch.nn.Module
        As in `sbt_utils.measuring.probe.load_curve`.
    train, test : tuple (images, labels) of arrays, mapping, loader of batches, or data set
        Inputs that the model was trained on and, if available, inputs that it has not seen:
        images, texts as a tokenizer returns them, or others, in any form that
        `sbt_utils.measuring.probe.load_curve` takes. Without any augmentation: the load curve is
        that of the inputs as they are. Without unseen ones, ``report(model, inputs, labels)`` will
        do. Of a language model: texts, beside its `tokenizer`, or ids without a label for each row.
    layers, pool, mask, forward, labels : optional
        What to measure, and how to call the model, as in `sbt_utils.measuring.probe.load_curve`:
        by default the model's repeated blocks, or its activations where it has none, as the map
        says; `labels` is a function that finds those of a batch.
    tokenizer, classes : optional
        For a language model, as in `sbt_utils.language.curves.token_curves`. There `layers` may
        be ``"attention and mlp"``.
    resamples : int
        Draws of the bootstrap over the inputs, which gives the intervals; 40 to 10,000.
    seed : int
        Of the draws; 0 or above.
    batch_size : int
        Inputs in one forward pass, by default 512, or 4 rows of 512 tokens; a loader sets its own.

    Returns
    -------
    StressMap
        Print it, or take its ``table``, ``advice`` or ``to_json()``;
        `sbt_utils.drawing.stress_map` draws it. Layers without a D, such as dead ones, are named in
        it and left out of its curves.

    Raises
    ------
    TypeError, ValueError
        As `sbt_utils.measuring.probe.load_curve`, with a note on which data are at fault, but for
        layers without a D; features that are not finite; samples that are all the same; too few
        resamples or too many; a negative seed.

    Notes
    -----
    The intervals tell how the loads of this network would vary with other inputs, of the same
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
    whole = isinstance(resamples, int | np.integer)
    if not whole or not FEWEST_RESAMPLES <= resamples <= MOST_RESAMPLES:
        raise ValueError(
            f"resamples={quoted(resamples)}: give an integer of {FEWEST_RESAMPLES} or more, at "
            f"most {MOST_RESAMPLES:,}"
        )
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed={quoted(seed)}: give an integer of at least 0")
    parts: dict[str, Any] = {"train": train} | ({} if test is None else {"test": test})
    if tokenizer is None and are_inputs_and_labels(train, test):
        parts = {"train": (train, test)}
    probe: Any
    batches: Any
    if is_of_tokens(parts["train"], tokenizer, (pool, mask, forward, labels)):
        probe, batches = token_probe(model, layers, parts, tokenizer, classes, seed, batch_size)
    else:
        probe = Probe(model, layers, pool, mask, forward, labels)
        sizes = labels, 512 if batch_size is None else batch_size
        batches = {name: partial(as_batches, data, *sizes) for name, data in parts.items()}
    return StressMap(**measured(probe, batches, int(resamples), int(seed)))


def _verdict(curve: LoadCurve | None) -> str:
    """Return the regime of a curve in words, unless it does not surely fall."""
    if curve is None:
        return "unresolved (fewer than two layers have a D)"
    if is_resolved(curve):
        return curve.verdict
    whole, low, high = fall(curve)
    return f"unresolved (D does not surely fall: by {whole:.3f}, {low:.3f} to {high:.3f})"
