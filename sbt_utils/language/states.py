"""States of tokens, layer by layer, from one pass of batches through a language model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sbt_utils.language.residual_stream import Point, check_sum, stream_points
from sbt_utils.language.tokens import check_vocabulary, counting
from sbt_utils.measuring.probing import noting
from sbt_utils.models.batches import LABELS, moved
from sbt_utils.models.calls import base_name, first_tensor, unwrapped, watching
from sbt_utils.models.layer_choice import Chosen, Layers, choose_layers, opening
from sbt_utils.models.running import check_model, evaluation_mode, run_model
from sbt_utils.models.trunk import Look, look
from sbt_utils.text import shown

EMBEDDING = "embedding"
"""The name of l = 0: what the first block reads."""

ATTENTION_AND_MLP = "attention and mlp"
"""As `layers`: what passes from block to block is measured after attention and after the MLP."""

_LEAN = {"use_cache": False, "logits_to_keep": 1}  # of transformers: logits take most of the memory
_FEW_TOKENS = 12  # for a look at what happens in a forward pass
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Norm:
    """The normalisation at the end of a model, without its weights; of states (n, d)."""

    centred: bool = False  # LayerNorm; else RMSNorm
    eps: float = 0.0
    none: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Return normalised states."""
        if self.none:
            return x
        x = x - x.mean(1, keepdim=True) if self.centred else x
        return x * (x.square().mean(1, keepdim=True) + self.eps).rsqrt()


def rms_normalised(x: Tensor) -> Tensor:
    """Return states (n, d) over their root mean squares; zeros stay as they are."""
    scale = x.square().mean(1, keepdim=True).sqrt()
    return x / torch.where(scale > 0, scale, 1)


def chosen_states(states: Tensor, keep: Tensor) -> Tensor:
    """Return some of the states (rows, tokens, d) as float64 (n, d)."""
    if states.device.type == "mps":  # it has no float64
        states = states.cpu()
    return states[keep.to(states.device)].double()


class Reader:
    """Where the states l = 0..L of a language model are found; a first batch settles it.

    Attributes
    ----------
    model : torch.nn.Module
    points : tuple of Point
        Where to read l = 0..L.
    rule : str
        How they were chosen.
    norm : Norm
        What the model does to its last state.
    causal : bool
        Whether the states of tokens depend on none behind them.
    """

    def __init__(self, model: nn.Module, layers: Layers | None, batch: Mapping[str, Any]) -> None:
        check_model(model)
        self.model = unwrapped(model)
        start = int(counting(batch)[0].byte().argmax())
        inputs = {name: batch[name] for name in batch if name not in LABELS}
        few = _cut(inputs, 0, start, start + _FEW_TOKENS)
        # The first id, for others may not be known to the model.
        safe = {**few, "input_ids": torch.zeros_like(few["input_ids"])}
        seen = self._look(safe)
        self.vocabulary = _vocabulary(self.model, seen)
        check_vocabulary([batch], self.vocabulary)
        self.causal = self._is_causal(few)
        stream = isinstance(layers, str) and layers == ATTENTION_AND_MLP
        chosen = choose_layers(self.model, None if stream else layers, seen)
        numbers = _numbers(seen, chosen)
        blocks = layers is None or stream
        self.points: tuple[Point, ...]
        if stream:
            self.points, self.rule = stream_points(seen, numbers)
        else:
            names = (seen.calls[number].name for number in numbers)
            self.points = tuple(Point(name, name) for name in names)
            self.rule = chosen.rule
        begun = None if blocks else opening(seen.calls, seen.chains)
        if begun is None:
            first = Point(EMBEDDING, seen.calls[numbers[0]].name, side="input")
        else:
            first = Point(begun, begun)
        self.points = (first, *self.points)
        self.norm = _final_norm(seen, numbers[-1])
        for point in [one for one in self.points if one.side == "sum"][-1:]:
            with evaluation_mode(self.model):
                check_sum(self.model, partial(self._run, few), point)
        self._tokens_first: set[str] = set()
        self.read([(few, None)], lambda *states: None)

    def _look(self, batch: Mapping[str, Any]) -> Look:
        """Return what happens to a batch; settle how ids are given."""
        try:
            named = inspect.signature(self.model.forward).parameters
        except (TypeError, ValueError):
            named = {}  # type: ignore[assignment]
        self._named = {name for name, one in named.items() if one.kind not in _ANY}
        # A wrapper that hands on whatever it gets: most models know ids by this name.
        wrapper = not self._named and any(one.kind is _ANY[1] for one in named.values())
        self._named |= {"input_ids", "attention_mask"} if wrapper else set()
        try:
            return look(self.model, partial(self._run, batch))
        except TypeError:
            if not wrapper:
                raise
            self._named = set()
            return look(self.model, partial(self._run, batch))
        except Exception as error:
            if getattr(getattr(self.model, "config", None), "is_encoder_decoder", False):
                raise ValueError(
                    f"model: {type(self.model).__name__} has an encoder and a decoder; give one of "
                    "them, such as model.get_encoder()"
                ) from error
            raise

    def _run(self, batch: Mapping[str, Any], lean: bool = True) -> Any:
        args, kwargs = self._arguments(batch)
        if lean:
            kwargs |= {name: value for name, value in _LEAN.items() if name in self._named}
        try:
            return run_model(self.model, *args, **kwargs)
        except IndexError as error:
            ids = batch["input_ids"]
            error.add_note(
                f"in the model, with rows of {ids.shape[1]} tokens and ids up to {int(ids.max())}; "
                "give no longer rows, and no other ids, than it knows"
            )
            raise

    def _arguments(self, batch: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the model: those that its forward pass names, ids first."""
        kwargs = {name: batch[name] for name in batch if name in self._named}
        kwargs = moved(kwargs, self.model)
        if "input_ids" in kwargs:
            return (), kwargs
        return (moved(batch["input_ids"], self.model),), kwargs

    @torch.no_grad()
    def _is_causal(self, few: Mapping[str, Any]) -> bool:
        """Tell whether what comes out for tokens stays the same if those behind are others."""
        tokens = few["input_ids"]
        kept = counting(few)[0].nonzero()[:, 0]
        other, half = tokens.clone(), int(kept[len(kept) // 2])
        other[0, half:] = (tokens[0, half:] + 1) % (self.vocabulary or int(tokens.max()) + 2)
        return self._same(few, {**few, "input_ids": other}, half, 1e-4)

    @torch.no_grad()
    def check_padding(self, batches: Iterable[Mapping[str, Any]]) -> None:
        """Raise if what pads a row changes what comes out for its tokens; tried on one row."""
        for number, batch in enumerate(batches):
            padding = counting(batch).flip(1).byte().argmax(1)  # tokens at the ends of rows
            if padding.any():
                row = int(padding.argmax())
                first = int(counting(batch)[row].byte().argmax())
                end = batch["input_ids"].shape[1] - int(padding[row])
                short, whole = (_cut(batch, row, first, stop) for stop in (end, None))
                # Rows of other lengths are rounded otherwise, less than this in bfloat16.
                if not self._same(short, whole, end - first, 0.01):
                    raise ValueError(
                        f"data: what pads row {row} of batch {number} changes what the model puts "
                        "out for its tokens; give a model that takes an 'attention_mask', or rows "
                        "without padding"
                    )
                return

    def _same(
        self, one: Mapping[str, Any], other: Mapping[str, Any], tokens: int, digits: float
    ) -> bool:
        """Tell whether the same comes out for the first tokens of two batches of one row."""
        outputs = []
        with evaluation_mode(self.model):
            for batch in (one, other):
                output = first_tensor(self._run(batch, lean=False))
                given = tuple(batch["input_ids"].shape)
                if output is None or output.dim() < 3 or tuple(output.shape[:2]) != given:
                    shape = "no tensor" if output is None else tuple(output.shape)
                    raise ValueError(
                        f"model: puts out {shape} for tokens of {given}; give a model with logits, "
                        "or states, of each token: (rows, tokens, ...), or else labels, one for "
                        "each row"
                    )
                outputs.append(output)
        same, changed = (output[0, :tokens].double().nan_to_num() for output in outputs)
        return bool((same - changed).abs().max() <= digits * same.abs().max())

    @torch.no_grad()
    def read(self, batches: Iterable[Any], take: Callable[[str, Tensor, Any], None]) -> None:
        """Call ``take(name, states (rows, tokens, d), item)`` for each l and batch as it passes.

        `batches` yields pairs of a batch and an item that is handed on.
        """
        inputs = {point.call: point for point in self.points if point.side == "input"}
        outputs = {point.call: point for point in self.points if point.side == "output"}
        sums = {point.call: point for point in self.points if point.side == "sum"}
        starts = {point.around for point in sums.values()}
        held: dict[str, Tensor] = {}
        now: list[Any] = []

        def hand_on(point: Point, tensor: Tensor | None, shape: torch.Size) -> None:
            if tensor is not None and tensor.dim() == 2 and len(tensor) == shape.numel():
                tensor = tensor.unflatten(0, shape)  # OPT's blocks go on with all tokens in a row
            if tensor is not None and shape[0] == 1 and tensor.shape[:2] == shape[::-1]:
                self._tokens_first.add(point.name)  # as in XLNet; the first look has one row
            if tensor is not None and tensor.dim() == 3 and point.name in self._tokens_first:
                tensor = tensor.transpose(0, 1)
            if tensor is None or tensor.dim() != 3 or tensor.shape[:2] != shape:
                what = "no tensor" if tensor is None else tuple(tensor.shape)
                raise ValueError(
                    f"layer '{shown(point.name)}': {what} for tokens of {tuple(shape)}; choose "
                    "layers with a state for each token: (rows, tokens, d)"
                )
            with noting(f"in layer '{shown(point.name)}'"):
                take(point.name, tensor, now[1])
            seen.add(point.name)

        def begin(name: str, module: nn.Module | None, arguments: Any) -> None:
            if name in starts and (tensor := first_tensor(arguments)) is not None:
                held[name] = tensor.clone()  # some models add in place
            if name in inputs:
                hand_on(inputs[name], first_tensor(arguments), now[0])

        def end(name: str, output: Any) -> None:
            if name in outputs:
                hand_on(outputs[name], first_tensor(output), now[0])
            if name in sums and (tensor := first_tensor(output)) is not None:
                hand_on(sums[name], held.pop(sums[name].around) + tensor, now[0])

        functions = any("()" in point.call for point in self.points)
        with (
            evaluation_mode(self.model),
            watching(self.model, end, begin, functions=functions) as calls,
        ):
            for batch, item in batches:
                calls.clear()
                seen: set[str] = set()
                now[:] = [batch["input_ids"].shape, item]
                self._run(batch)
                if missing := [point.name for point in self.points if point.name not in seen]:
                    raise ValueError(
                        f"layer '{shown(missing[0])}': does not run for all batches; give batches "
                        "that take the same path through the model"
                    )


def _cut(batch: Mapping[str, Any], row: int, first: int, stop: int | None) -> dict[str, Any]:
    """Return some tokens of a row of a batch."""
    shape = tuple(batch["input_ids"].shape)
    few = {}
    for name in batch:
        value = batch[name]
        sizes = tuple(getattr(value, "shape", ()))
        if sizes[:1] == shape[:1]:
            value = value[row : row + 1]
        if sizes[:2] in (shape, (1, shape[1])):  # the latter: positions, the same for all rows
            value = value[:, first:stop]
        few[name] = value
    return few


def _numbers(seen: Look, chosen: Chosen) -> list[int]:
    """Return the numbers of the calls that are chosen."""
    numbers = [n for n, call in enumerate(seen.calls) if call.name in chosen]
    absent = set(chosen.names) - {base_name(seen.calls[n].name) for n in numbers}
    absent -= {seen.calls[n].name for n in numbers}
    if absent or not numbers:
        named = shown(", ".join(sorted(absent)), 300)
        raise ValueError(f"layers: the forward pass never calls {named}; choose those that it does")
    return numbers


def _vocabulary(model: nn.Module, seen: Look) -> int | None:
    """Return how many tokens the embedding of a model knows."""
    # First those of the ids themselves, and none of what is made of no input: positions.
    ids = {chain.start for chain in seen.chains if not chain.floating}
    calls = [call for call in seen.calls if isinstance(call.module, nn.Embedding)]
    calls = [call for call in calls if call.read is not None]
    embeddings = [call.module for call in sorted(calls, key=lambda call: call.read not in ids)]
    with suppress(Exception):  # a method of transformers, which not every model supports
        embeddings.insert(0, model.get_input_embeddings())  # type: ignore[operator]
    sizes = [e.num_embeddings for e in embeddings if isinstance(e, nn.Embedding)]
    return sizes[0] if sizes else None


@torch.no_grad()
def _final_norm(seen: Look, last: int) -> Norm:
    """Return the normalisation that reads what the last block made, without its weights."""
    made = seen.calls[last].made
    for call in seen.calls[last + 1 :]:
        if call.read == made and call.module is not None and "norm" in call.kind.lower():
            module: Any = call.module
            weights = [weight for weight in module.parameters() if weight.dim() == 1]
            if not weights or isinstance(module, nn.modules.batchnorm._BatchNorm):
                continue
            x = torch.linspace(-1, 2, len(weights[0])).to(weights[0])[None]
            moved_on = torch.allclose(module(x + 1), module(x), atol=1e-3)
            found = (getattr(module, name, None) for name in ("eps", "variance_epsilon"))
            eps = next((float(value) for value in found if value is not None), None)
            if eps is None:
                eps = torch.finfo(weights[0].dtype).eps  # PyTorch's own choice
            return Norm(centred=moved_on, eps=eps)
    return Norm(none=True)
