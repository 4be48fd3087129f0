"""Which layers of a network to measure: those asked for, or else its trunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn

from sbt_utils.models.blocks import Part, activations_on, blocks_on, holder
from sbt_utils.models.calls import base_name, name_in_model, names_of
from sbt_utils.models.trunk import Call, Chain, Look
from sbt_utils.text import quoted, shown

Layers = str | type[nn.Module] | Sequence[str | type[nn.Module]] | Callable[[str, nn.Module], bool]
"""How to choose layers: names, module types, or a function of name and module."""

# What torch counts as an activation, less what mixes features into probabilities or attention.
ACTIVATIONS = tuple(
    getattr(nn, name)
    for name in nn.modules.activation.__all__
    if not name.startswith("Softm") and name not in ("LogSoftmax", "MultiheadAttention")
)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
# Layers that hand the values of the input on in evaluation mode (a leaf nn.Sequential is empty).
PASSIVE = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Sequential, nn.modules.dropout._DropoutNd)
_TRACED = "; blocks are lost in this traced graph: give the original module"
_MOST_ROWS = 8


def choose(model: nn.Module, layers: Layers | None = None) -> dict[nn.Module, str]:
    """Return the modules of a model that are asked for, or else its activations.

    They come with their names, in the order of ``model.named_modules()``.
    """
    # Of a compiled module, the one inside.
    named = model.named_modules(remove_duplicate=False)
    modules = {name_in_model(name): module for name, module in named}
    remedy = _remedy(model)
    names: set[str] = set()
    types: tuple[type, ...] = ACTIVATIONS
    function = None
    if callable(layers) and not isinstance(layers, type):
        function = layers
    elif layers is not None:
        several = isinstance(layers, Iterable) and not isinstance(layers, (str, type))
        several = several and getattr(layers, "ndim", 1) > 0
        asked: list[Any] = list(layers) if several else [layers]  # type: ignore[arg-type]
        if not all(isinstance(layer, (str, type)) for layer in asked):
            raise TypeError(
                f"layers: {quoted(layers)} given; give names, module types or a function"
            )
        names = {name_in_model(layer) for layer in asked if isinstance(layer, str)}
        types = tuple(layer for layer in asked if isinstance(layer, type))
        if unknown := names - set(modules):
            raise ValueError(f"layers: the model has no layer {quoted(min(unknown))}; {remedy}")
    chosen: dict[nn.Module, str] = {}
    for name, module in modules.items():
        if function(name, module) if function else name in names or isinstance(module, types):
            # A module with several names keeps its first.
            chosen.setdefault(module, name or type(module).__name__)
    if not chosen:
        what = "activation module" if layers is None else f"layer for {quoted(layers)}"
        raise ValueError(f"layers: {type(model).__name__} has no {what}; {remedy}")
    return chosen


@dataclass(frozen=True)
class Chosen:
    """Which calls of a model to measure, by their names, and the rule that chose them."""

    names: tuple[str, ...]
    rule: str  # such as "the 12 repeated blocks (BertLayer)"
    every_call: bool = False  # whether the name of a layer stands for each of its calls
    start: str | None = None  # the call that normalises or embeds the input: it is l = 0

    def __contains__(self, name: str) -> bool:
        return name in self.names or (self.every_call and base_name(name) in self.names)


def choose_layers(model: nn.Module, layers: Layers | None, look: Look | None) -> Chosen:
    """Return the layers that are asked for, or else those of the trunk of a model.

    By default these are the repeated blocks through which everything passes, such as residual
    blocks or the layers of a transformer; stages made of blocks count block by block, and a block
    that runs again counts again. A model without such blocks gives the activations through which
    everything passes, be they modules or functions, but for a sigmoid at the end of others. Several
    heads have the layers ahead of them in common. Where other ways pass by a whole row of blocks,
    such as those from several depths to a head, it is the row, as the rule says.

    Parameters
    ----------
    model : torch.nn.Module
        As ``unwrapped`` of `sbt_utils.models.calls` returns it.
    layers : optional
        As for `sbt_utils.measuring.probe.load_curve`; a name may be that of a call, such as
        ``"relu()#2"``.
    look : Look, optional
        The forward pass, as `sbt_utils.models.trunk.look` saw it. None will do for `layers` that
        are modules.

    Raises
    ------
    TypeError, ValueError
        No such layer; blocks that form several chains, such as those of an encoder and a decoder.

    Examples
    --------
    >>> import torch
    >>> from sbt_utils.models.trunk import look
    >>> model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> choose_layers(model, None, look(model, lambda: model(torch.zeros(3, 5))))
    Chosen(names=('1',), rule='the activation that everything passes through', ...)
    """
    if layers is not None:
        return _asked(model, layers, look)
    if look is None:
        raise TypeError("look: None given, and no layers; give one of them")
    calls = look.calls
    trunks = {chain: blocks_on(look, chain) for chain in look.chains}
    if not any(trunks.values()):
        trunks = {chain: activations_on(look, chain) for chain in look.chains}
    everything = Part(look, [n for n, call in enumerate(calls) if call.made is not None])
    listed = everything.blocks() or everything.activations()
    numbers = _trunk(trunks)
    chains = [chain for chain, trunk in trunks.items() if set(numbers) <= set(trunk)]
    passed_by = ""
    if not numbers or _mostly_branches(everything, listed, trunks):
        numbers, chains = _row(look, listed)
        passed_by = ", in a row that other ways pass by"
    if not numbers and listed:
        apart = _apart(calls, _longest(trunks))
        raise ValueError(_several_chains(model, [calls[n] for n in listed], apart))
    if not numbers:
        raise ValueError(
            f"layers: {type(model).__name__} has no repeated blocks, and no activation that "
            f"everything passes through; {_remedy(model)}"
            + _TRACED
            * isinstance(model, fx.GraphModule)
        )
    chosen = [calls[number] for number in numbers]
    start = opening(calls, chains[:1])
    return Chosen(tuple(call.name for call in chosen), _rule(chosen) + passed_by, start=start)


def choose_in_row(
    model: nn.Module, layers: Layers | None, row: Sequence[tuple[str, nn.Module]]
) -> Chosen:
    """Return what `choose_layers` does for a row of layers (name, module), which need no look."""
    names = tuple(name for name, layer in row if isinstance(layer, ACTIVATIONS))
    chosen = (
        Chosen(names, _of_activations(len(names)))
        if layers is None
        else _asked(model, layers, None)
    )
    first = next((layer for layer in row if not isinstance(layer[1], PASSIVE)), row[0])
    return replace(chosen, start=first[0] if isinstance(first[1], NORMS) else None)


def _longest(trunks: Mapping[Chain, tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Leave out parts of others, which masks pass through, and outputs that are no features."""
    return {t for t in trunks.values() if not any(set(t) < set(o) for o in trunks.values())}


def _trunk(trunks: Mapping[Chain, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the one trunk that chains have, or have in common; none where they differ."""
    longest = _longest(trunks)
    if len(longest) < 2:
        return next(iter(longest), ())
    # Several outputs of one input, each with a head of its own that is shorter than the trunk.
    starts = {chain.start for chain, trunk in trunks.items() if trunk in longest}
    common = tuple(sorted(set.intersection(*map(set, longest))))
    shared = len(starts) == 1 and 2 * len(common) >= max(map(len, longest))
    return common if shared else ()


def _row(look: Look, listed: Sequence[int]) -> tuple[tuple[int, ...], list[Chain]]:
    """Return calls if each is made of the one before alone, and the chain to the last of them.

    Other ways may pass them by, such as those from several depths of a network to its head.
    """
    made = [look.calls[number].made or 0 for number in listed]
    if len(made) < 2 or made != sorted(set(made)):
        return (), []
    chains = [c for c in look.chains_to(listed[-1]) if c.points.issuperset(listed)]
    return (tuple(listed) if chains else ()), chains


def _mostly_branches(
    everything: Part, listed: Sequence[int], trunks: Mapping[Chain, Sequence[int]]
) -> bool:
    """Tell whether more blocks lie beside the trunk to an output than on it."""
    for end in {chain.end for chain in trunks}:
        chains = [chain for chain in trunks if chain.end == end]
        rows = [trunks[chain] for chain in chains]
        trunk = set().union(*rows)
        inside = set().union(*(everything.inside[number] for number in trunk))
        on = trunk.union(inside, *(chain.points for chain in chains))
        held = {n for n in listed if not trunk.isdisjoint(everything.inside[n])}
        between = set().union(*(chain.between for chain in chains))
        beside = len(between.intersection(listed) - on - held)
        if beside > max(map(len, rows)) or (held and beside > len(held)):
            return True
    return False


def _asked(model: nn.Module, layers: Layers, look: Look | None) -> Chosen:
    """Return the layers that are asked for by names, types or a function."""
    calls: list[str] = []
    if isinstance(layers, Sequence):
        asked = [layers] if isinstance(layers, str) else list(layers)
        seen = {call.name for call in look.calls} if look else set()
        calls = [layer for layer in asked if isinstance(layer, str) and layer in seen]
        layers = [layer for layer in asked if layer not in calls]
    if not calls or layers:
        names = names_of(model)
        calls += [names[module] for module in choose(model, layers)]
    return Chosen(tuple(calls), "the layers that were asked for", every_call=True)


def _remedy(model: nn.Module) -> str:
    leaves = (module for module in model.modules() if next(module.children(), None) is None)
    kinds = ", ".join(sorted({type(module).__name__ for module in leaves}))
    return (
        f"its layers are {shown(kinds, 300)}; choose by name as in model.named_modules(), by type, "
        "or by a function (name, module) -> bool"
    )


def opening(calls: Sequence[Call], chains: Sequence[Chain]) -> str | None:
    """Return the first call that normalises or embeds an input, if all passes through it."""
    embeds = (nn.Embedding, nn.EmbeddingBag)
    for chain in chains:
        computed = False
        for call in (calls[number] for number in sorted(chain.points)):
            if call.read == chain.start and isinstance(call.module, (*NORMS, *embeds)):
                return call.name
            # Numbers of words may have been padded or turned before, which leaves them numbers.
            if isinstance(call.module, embeds) and not (chain.floating or computed):
                return call.name
            computed |= not _is_block(call)
    return None


def _rule(chosen: Sequence[Call]) -> str:
    """Say in words what was chosen by default."""
    if len(chosen) < 2 or not all(map(_is_block, chosen)):
        return _of_activations(len(chosen))
    kinds = ", ".join(dict.fromkeys(call.kind for call in chosen))
    return f"the {len(chosen)} repeated blocks ({kinds})"


def _of_activations(count: int) -> str:
    what = f"{count} activations" if count > 1 else "activation"
    return f"the {what} that everything passes through"


def _apart(calls: Sequence[Call], trunks: set[tuple[int, ...]]) -> list[tuple[str, ...]]:
    """Return the names of the activations of several chains that name no other, most first."""
    if len(trunks) < 2 or any(_is_block(calls[n]) for trunk in trunks for n in trunk):
        return []
    found: dict[tuple[str, ...], None] = {}
    for trunk in sorted(trunks, key=len, reverse=True):
        names = tuple(dict.fromkeys(base_name(calls[n].name) for n in trunk))
        if {n for n, call in enumerate(calls) if base_name(call.name) in names} == set(trunk):
            found[names] = None
    return list(found)


def _several_chains(
    model: nn.Module, listed: Sequence[Call], apart: Sequence[Sequence[str]]
) -> str:
    """Say which rows of blocks a model has, and how to choose one of them."""
    several = f"layers: those of {type(model).__name__} form several chains: "
    blocks = all(map(_is_block, listed))
    rows = Counter((holder(call) if blocks else "", call.kind) for call in listed).most_common()
    if apart and len(rows) == 1:
        which = "; ".join(shown(", ".join(names), 100) for names in apart[:_MOST_ROWS])
        return f"{several}{which}; choose one, such as layers={shown(list(apart[0]), 300)}"
    parts = [
        f"{n} {kind}" + f" in {quoted(row)}" * bool(row) for (row, kind), n in rows[:_MOST_ROWS]
    ]
    parts += [f"{len(rows) - _MOST_ROWS} more"] * (len(rows) > _MOST_ROWS)
    (row, kind), _ = rows[0]
    within = f"name.startswith({shown(repr(row + '.'), 200)}) and " if row else ""
    rest = f", such as layers=lambda name, module: {within}type(module).__name__ == {kind!r}"
    choice = f"choose one{rest if blocks else ' by the names of its layers'}"
    traced = _TRACED * isinstance(model, fx.GraphModule)
    return f"{several}{', '.join(parts)}; {choice}{traced}"


def _is_block(call: Call) -> bool:
    return call.module is not None and any(call.module.children())
