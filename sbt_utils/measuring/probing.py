"""One pass of data through a model, and what its hooks measure: for load curves and reports.

Features go straight into scatter statistics: one batch of them at most is in memory.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from sbt_utils.measuring.scatter import ScatterStatistics, read_together
from sbt_utils.measuring.stacked import row_of, runs_in_turn
from sbt_utils.models.batch_axes import SAMPLES, batch_axes
from sbt_utils.models.calls import base_name, unwrapped, watching, watching_row
from sbt_utils.models.forward import Feed, Forward, Pass, cut
from sbt_utils.models.layer_choice import (
    PASSIVE,
    Chosen,
    Layers,
    choose_in_row,
    choose_layers,
    opening,
)
from sbt_utils.models.pools import (
    Pool,
    check_pool,
    checked_mask,
    features_in,
    has_tokens,
    pooled,
)
from sbt_utils.models.running import check_model, evaluation_mode
from sbt_utils.models.samples import SampleClasses, sample_classes
from sbt_utils.models.trunk import look
from sbt_utils.text import shown

WHOLE_START = ""
"""Names the statistics of l = 0 without its pool, until it is known which of them counts."""

INPUTS = ("images", "inputs")
"""The names of l = 0 where no layer normalises or embeds the input: the first if it has four axes,
as images do."""


class Probe:
    """What to measure of a model, and how; the first batch settles the layers for all others."""

    def __init__(
        self,
        model: nn.Module,
        layers: Layers | None = None,
        pool: Pool | None = None,
        mask: Callable[[Any], Any] | None = None,
        forward: Forward | None = None,
        labels: Callable[[Any], Any] | None = None,
    ) -> None:
        check_model(model)
        check_pool(pool)
        self.model, self.layers, self.pool = unwrapped(model), layers, pool
        self.feed = Feed(self.model, forward, labels, mask)
        self.names_calls = bool(set("#()") & set(str(layers)))  # which are seen as they run
        if layers is not None and not self.names_calls:
            choose_layers(self.model, layers, None)  # now, before anything runs
        self.chosen: Chosen | None = None
        self.start: str | None = None  # the call that is l = 0, if any is
        self.row: list[tuple[str, nn.Module]] = []  # the layers, where they may run without hooks
        self.axes: dict[str, int] = {}  # of the samples, by layer, where known
        self.runs: dict[str, int] = {}  # of the chosen layers in a forward pass, where known
        self.start_is_pooled: bool | None = None  # known when all data were seen once

    @property
    def rule(self) -> str:
        """How the layers were chosen, once they are."""
        return self.chosen.rule if self.chosen else ""

    def statistics(
        self, batches: Iterable[Any], new_statistics: Callable[[str], Any]
    ) -> dict[str, Any]:
        """Return statistics of the features of each layer l = 0..L, by its name, from one pass.

        `new_statistics` makes from the name of a layer what has an ``update(features, labels)``,
        such as `sbt_utils.measuring.scatter.ScatterStatistics`.
        """
        batches = iter(batches)
        first = next(batches, None)
        if first is None:
            raise ValueError("data: the loader yields no batch; give one or more")
        if self.chosen is None:
            self.chosen = self._choose(first)
        reading = _Reading(self, self.chosen, new_statistics)
        reading.run(chain([first], batches))
        self._check(reading)
        scatters = [s for s in reading.statistics.values() if isinstance(s, ScatterStatistics)]
        if scatters:
            read_together(scatters)
        return {name: reading.statistics[name] for name in reading.names}

    def _choose(self, batch: Any) -> Chosen:
        """Settle the layers from a look at what happens to a few samples of a batch."""
        row = [] if self.feed.forward or self.names_calls else row_of(self.model)
        if row and (chosen := choose_in_row(self.model, self.layers, row)).names:
            self.start = chosen.start
            self.runs = Counter(name for name, _ in row if name in chosen)
            self.row = (
                row if runs_in_turn(self.model) and len(self.runs) == len(chosen.names) else []
            )
            return chosen
        samples = len(self.feed.of(batch).labels)
        seen = failed = None
        for few in (cut(batch, samples, SAMPLES), batch):
            try:
                seen = look(self.model, partial(self._run, few))
                break
            except Exception as error:  # of a batch that is more than its parts
                failed = error
        if seen is None and self.layers is None and failed is not None:
            raise failed
        chosen = choose_layers(self.model, self.layers, seen)
        if seen is not None:
            self.start = chosen.start or opening(seen.calls, seen.chains)
            chosen = replace(chosen, start=self.start)
            names = (base_name(call.name) for call in seen.calls)
            self.runs = Counter(name for name in names if name in chosen)
        self.axes = batch_axes(self.feed, batch, samples, chosen)
        return chosen

    def _run(self, batch: Any) -> Any:
        return self.feed.of(batch).run()

    def _check(self, reading: _Reading) -> None:
        """Raise, or warn, where what was measured is not what was asked for."""
        chosen = reading.chosen
        if skipped := [name for name in chosen.names if name not in reading.called]:
            message = f"layers: the forward pass never calls {shown(', '.join(skipped), 300)}"
            if len(reading.names) < 2:
                raise ValueError(
                    f"{message}, nor any other chosen layer; choose layers that it calls"
                )
            warnings.warn(f"{message}; left out of the load curve", stacklevel=4)
        if len(reading.names) < 2:
            only = shown(reading.names[0])
            raise ValueError(f"layers: '{only}' alone is l = 0; choose layers after it")
        if isinstance(self.pool, str) and not reading.tokens:
            raise ValueError(
                f"pool: '{self.pool}' given, but no layer has features (N, tokens, d); leave it "
                "out, or give a function of the features"
            )
        if reading.whole:
            warnings.warn(
                f"mask: features of {shown(', '.join(reading.whole), 300)} have no axis of its "
                "length behind the samples; they are measured whole, with what it hides",
                stacklevel=4,
            )


@dataclass
class _Reading:
    """One pass over the data: the statistics that features feed, layer by layer."""

    probe: Probe
    chosen: Chosen
    new_statistics: Callable[[str], Any]
    statistics: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, torch.Size] = field(default_factory=dict)
    names: tuple[str, ...] = ()  # l = 0..L, settled by the first batch
    called: set[str] = field(default_factory=set)
    tokens: bool = False  # some features have an axis of tokens
    whole: dict[str, None] = field(default_factory=dict)  # layers that a mask does not suit
    first: Tensor | None = None  # sample at l = 0, pooled
    classes: SampleClasses | None = None  # of the batch, once they are asked for

    def run(self, batches: Iterable[Any]) -> None:
        """Pass all batches through the model and leave it as it was."""
        model = self.probe.model
        with (
            torch.no_grad(),
            evaluation_mode(model),
            self.watching() as self.calls,
        ):
            for batch in batches:
                self.calls.clear()
                self.run_pass(self.probe.feed.of(batch))
        if self.first is not None and self.probe.start is not None:
            self.probe.start_is_pooled = WHOLE_START not in self.statistics
            if not self.probe.start_is_pooled:
                self.statistics[self.probe.start] = self.statistics.pop(WHOLE_START)

    def watching(self) -> AbstractContextManager[Counter[str]]:
        """Measure layers of the model as they run meanwhile."""
        model, row = self.probe.model, self.probe.row
        if row:
            # Ahead of the first that computes, l = 0 is measured.
            first = next((name for name, layer in row if not isinstance(layer, PASSIVE)), "")
            return watching_row(model, row, {first, *self.chosen.names}, self.end, self.begin)
        functions = any("()" in name for name in self.chosen.names)
        return watching(model, self.end, self.begin, functions)

    def run_pass(self, one: Pass) -> None:
        """Pass a batch through the model, while the hooks measure it."""
        self.now, self.mask, self.classes = one, one.mask, None
        self.measured: list[str] = []
        self.waiting = self.probe.start is None  # for the first layer that computes
        one.run()
        if self.waiting:
            self.measure_inputs()
        # A chosen layer that only hands the input on may have run ahead of l = 0.
        starts = (self.probe.start,) if self.probe.start else INPUTS
        self.measured.sort(key=lambda name: name not in starts)
        self.names = self.names or tuple(self.measured)
        varying = set(self.names).symmetric_difference(self.measured)
        varying |= {name for name, runs in self.probe.runs.items() if self.calls[name] != runs}
        if varying:
            raise ValueError(
                f"layer '{shown(min(varying))}': does not run equally often for all batches; give "
                "batches that take the same path through the model"
            )

    def begin(self, name: str, module: nn.Module | None, arguments: Any) -> None:
        """Measure the input, if it is l = 0, when the first layer is about to compute."""
        leaf = module is None or next(module.children(), None) is None
        if leaf and self.waiting and not isinstance(module, PASSIVE):
            # Now, since the layer may work in place.
            self.measure_inputs()
        if name == self.probe.start and isinstance(module, nn.Embedding) and self.mask is None:
            self.find_padding(module)

    def find_padding(self, embedding: nn.Embedding) -> None:
        """Take what an embedding knows as padding for hidden, for a pool that asks for tokens."""
        inputs, padding = self.now.inputs, embedding.padding_idx
        named = isinstance(self.probe.pool, str) and padding is not None
        if named and inputs is not None and inputs.dim() == 2:
            self.mask = checked_mask(inputs != padding, len(inputs))

    def measure_inputs(self) -> None:
        """Measure the inputs, whole unless the mean over their tokens is asked for."""
        self.waiting = False
        inputs = self.now.inputs
        if inputs is None:
            raise TypeError(
                "data: a batch holds no tensor that could be l = 0; yield tensors of one shape"
            )
        name = 0 if inputs.dim() == 4 and inputs.is_floating_point() else 1
        if len(inputs) != len(self.now.labels) == inputs.shape[1:2].numel():
            inputs = inputs.movedim(1, 0)  # sequence first
        if self.mask is not None and inputs.shape == self.mask.shape:
            inputs = inputs.masked_fill(~self.mask, 0)
        elif self.probe.pool == "mean" or self.mask is not None:
            inputs = pooled(inputs, "mean", self.mask)
        self.measured.append(INPUTS[name])
        self.measure(INPUTS[name], inputs)

    def end(self, name: str, output: Any) -> None:
        """Measure the output of a layer that is chosen, or that is l = 0."""
        if name not in self.chosen and name != self.probe.start:
            return
        self.called.update((name, base_name(name)))
        features, mask = features_in(output, self.mask)
        if features is None:
            kind = type(output).__name__
            raise TypeError(
                f"layer '{shown(name)}': no floating tensor in its {kind}; leave it out"
            )
        if axis := self.probe.axes.get(name, 0):
            features = features.movedim(axis, 0)
        starts = name == self.probe.start and self.probe.pool is not None
        pool = None if starts and self.probe.start_is_pooled is False else self.probe.pool
        if not callable(pool):
            self.tokens |= has_tokens(features, mask)
            if mask is not None and features.dim() > 2 and not has_tokens(features, mask):
                self.whole |= {} if mask.all() else {name: None}
        try:
            reduced = pooled(features, pool, mask)
        except Exception as error:
            shape = tuple(features.shape)
            error.add_note(
                f"in pool, on layer '{shown(name)}' with features {shape}; make it suit them"
            )
            raise
        self.measured.append(name)
        self.measure(name, reduced)
        if starts and self.probe.start_is_pooled is None:
            self.settle_start(reduced, pooled(features, None, mask))

    def settle_start(self, reduced: Tensor, whole: Tensor) -> None:
        """Measure l = 0 whole, too, as long as the pool leaves all samples the same.

        Ahead of any attention a class token, for one, is the same for all samples.
        """
        self.first = reduced[:1] if self.first is None else self.first
        if WHOLE_START in self.statistics or not self.names:
            if (reduced == self.first).all():
                self.measure(WHOLE_START, whole)
            else:
                self.statistics.pop(WHOLE_START, None)

    def measure(self, name: str, features: Tensor) -> None:
        """Feed features to the statistics of a layer, new ones if it has none yet."""
        shape = self.shapes.setdefault(name, features.shape[1:])
        if shape != features.shape[1:]:
            raise ValueError(
                f"layer '{shown(name)}': features of {tuple(features.shape[1:])} after those of "
                f"{tuple(shape)}; give all samples one shape, or pool=, such as pool='mean'"
            )
        try:
            if name not in self.statistics:
                self.statistics[name] = self.new_statistics(name)
            if self.classes is None:
                self.classes = sample_classes(self.now.labels)
            self.statistics[name].update(features, self.classes)
        except Exception as error:
            error.add_note(f"in layer '{shown(name)}'")
            raise


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to errors, which keep their type and traceback (PEP 678)."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise
