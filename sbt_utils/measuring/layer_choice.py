"""Which layers of a network to measure: those asked for, or else its trunk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from torch import nn

from sbt_utils.measuring.calls import ACTIVATIONS as FUNCTIONS
from sbt_utils.measuring.calls import base_name
from sbt_utils.measuring.trunk import Call, Chain, Look

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
# Modules with children that are part of a block, or mere lists of blocks.
_MOST_ROWS = 8
_NO_BLOCKS = (nn.MultiheadAttention, nn.ModuleList, nn.ModuleDict)


def choose(model: nn.Module, layers: Layers | None = None) -> dict[nn.Module, str]:
    """Return the layers of a model that are asked for, or else its blocks or activations.

    They come with their names, in the order of ``model.named_modules()``. Blocks are modules with
    children whose class occurs twice or more, outside other such blocks: those of a residual
    network or a transformer are its trunk, while activations inside them lie on branches.
    """
    if layers is None and (blocks := _blocks(model)):
        return blocks
    modules = dict(model.named_modules(remove_duplicate=False))
    leaves = (module for module in modules.values() if next(module.children(), None) is None)
    kinds = ", ".join(sorted({type(module).__name__ for module in leaves}))
    remedy = (
        f"its layers are {kinds}; choose by name as in model.named_modules(), by type, or by a "
        "function (name, module) -> bool"
    )
    names: set[str] = set()
    types: tuple[type, ...] = ACTIVATIONS
    function = None
    if callable(layers) and not isinstance(layers, type):
        function = layers
    elif layers is not None:
        asked = [layers] if isinstance(layers, (str, type)) else list(layers)
        if not all(isinstance(layer, (str, type)) for layer in asked):
            raise TypeError(f"layers: {layers!r} given; give names, module types or a function")
        names = {layer for layer in asked if isinstance(layer, str)}
        types = tuple(layer for layer in asked if isinstance(layer, type))
        if unknown := names - set(modules):
            raise ValueError(f"layers: the model has no layer {min(unknown)!r}; {remedy}")
    chosen: dict[nn.Module, str] = {}
    for name, module in modules.items():
        if function(name, module) if function else name in names or isinstance(module, types):
            # A module with several names keeps its first.
            chosen.setdefault(module, name or type(module).__name__)
    if not chosen:
        what = "activation module" if layers is None else f"layer for {layers!r}"
        raise ValueError(f"layers: {type(model).__name__} has no {what}; {remedy}")
    return chosen


def _blocks(model: nn.Module) -> dict[nn.Module, str]:
    """Return the outermost modules with children whose class occurs twice or more."""
    # Containers such as nn.Sequential may occur often, but repeat no architecture.
    parents = {
        name: module
        for name, module in model.named_modules()
        if next(module.children(), None) is not None
        and not isinstance(module, _NO_BLOCKS)
        and type(module) is not nn.Sequential
    }
    count = Counter(type(module) for module in parents.values())
    blocks: dict[nn.Module, str] = {}
    inside: set[nn.Module] = set()
    for name, module in parents.items():
        if count[type(module)] > 1 and module not in inside:
            blocks[module] = name
            inside.update(module.modules())
    return blocks


@dataclass(frozen=True)
class Chosen:
    """Which calls of a model to measure, by their names."""

    names: tuple[str, ...]
    rule: str  # how they were chosen, such as "the 12 repeated blocks (BertLayer)"
    every_call: bool = False  # whether the name of a layer stands for each of its calls
    start: str | None = None  # the call that normalises or embeds the input: it is l = 0

    def __contains__(self, name: str) -> bool:
        return name in self.names or (self.every_call and base_name(name) in self.names)


def choose_layers(model: nn.Module, layers: Layers | None, look: Look | None) -> Chosen:
    """Return the layers that are asked for, or else the trunk of the model.

    By default these are the repeated blocks through which everything passes, such as the residual
    blocks of a network or the layers of a transformer; where there are none, the activations
    through which everything passes, be they modules or functions.

    Parameters
    ----------
    model : torch.nn.Module
        As `sbt_utils.measuring.calls.unwrapped` returns it.
    layers : optional
        As for `sbt_utils.measuring.probe.load_curve`; also names of calls, such as ``"relu()#2"``.
    look : Look, optional
        The forward pass, as `sbt_utils.measuring.trunk.look` saw it; may be None for `layers` that
        are modules.

    Raises
    ------
    TypeError, ValueError
        No such layer; a model whose blocks form several chains, or none.
    """
    if layers is not None or look is None:
        return Chosen(tuple(choose(model, layers).values()), "the layers that were asked for", True)
    calls = look.calls
    found = {_trunk(calls, chain): chain for chain in reversed(look.chains)}
    longest = [trunk for trunk in found if not any(set(trunk) < set(other) for other in found)]
    trunk = longest[0] if longest else ()
    everything = _Part(calls, [n for n, call in enumerate(calls) if call.made is not None])
    blocks = everything.blocks(everything.among) or everything.activations(everything.among)
    inside = {n for number in trunk for n in everything.inside[number]}
    around = {n for n in blocks if any(m in trunk for m in everything.inside[n])}
    branches = set(blocks) - set(trunk) - inside - around
    if len(longest) > 1 or len(branches) > len(trunk):
        raise ValueError(_several_chains(model, [calls[n] for n in blocks]))
    if not trunk:
        raise ValueError("nothing")
    kinds = list(dict.fromkeys(calls[n].kind for n in trunk))
    return Chosen(
        tuple(calls[n].name for n in trunk),
        f"{len(trunk)} {kinds}",
        start=_start(calls, found[trunk]),
    )


def _start(calls: Sequence[Call], chain: Chain) -> str | None:
    """Return the call that normalises or embeds the input, if everything passes through it."""
    for n in sorted(chain.points):
        if calls[n].read == chain.start and isinstance(
            calls[n].module, (*NORMS, nn.Embedding, nn.EmbeddingBag)
        ):
            return calls[n].name
    return None


def _trunk(calls: Sequence[Call], chain: Chain) -> tuple[int, ...]:
    """Return the blocks, or else the activations, through which everything in a chain passes."""
    part = _Part(calls, sorted(chain.between))
    blocks = part.blocks(chain.points)
    if not blocks:
        return tuple(part.activations(chain.points))
    # A class that occurs but once may take its turn in a row of blocks: Inception's reductions.
    rows = {_row(calls[n]) for n in blocks}
    taken = {m for n in blocks for m in (n, *part.inside[n])}
    count = Counter(calls[n].kind for n in part.parents)
    singles = [
        n
        for n in part.parents
        if n in chain.points
        and n not in taken
        and taken.isdisjoint(part.inside[n])
        and count[calls[n].kind] == 1
        and _row(calls[n]) in rows
        and calls[n].made != chain.end
        and part.functions(n)
    ]
    return tuple(sorted([*blocks, *singles]))


class _Part:
    """Some of the calls in a forward pass, and what runs inside of each."""

    def __init__(self, calls: Sequence[Call], among: Collection[int]) -> None:
        self.calls, self.among = calls, among
        self.inside: defaultdict[int, list[int]] = defaultdict(list)
        for number in among:
            around = calls[number].parent
            while around is not None:
                self.inside[around].append(number)
                around = calls[around].parent
        # Containers such as nn.Sequential may occur often, but repeat no architecture.
        self.parents = [
            n
            for n in among
            if type(calls[n].module) is not nn.Sequential
            and any(calls[m].module is not None for m in self.inside[n])
        ]

    def functions(self, number: int) -> frozenset[str]:
        """Return the kinds of functions that a call computes, those that are not linear."""
        calls = (self.calls[n] for n in self.inside[number])
        return frozenset(call.kind for call in calls if call.module is None)

    def blocks(self, points: Collection[int] | None = None) -> list[int]:
        """Return the outermost repeated calls, less stages, of kinds that are all of `points`."""
        kinds: defaultdict[str, list[int]] = defaultdict(list)
        for number in self.parents:
            kinds[self.calls[number].kind].append(number)
        repeated = [ns for ns in kinds.values() if len(ns) > 1 and all(n in points for n in ns)]
        # What only maps linearly, such as the merging of patches, is no block, nor is what only
        # normalises and activates.
        for tell in (self.functions, lambda n: _has_matrices(self.calls[n])):
            repeated = [ns for ns in repeated if any(map(tell, ns))] or repeated
        stages = [a for a in repeated if any(self.is_stage(a, b) for b in repeated if a is not b)]
        numbers = {n for ns in repeated for n in ns}
        passed = {n for ns in stages for n in ns if not numbers.isdisjoint(self.inside[n])}
        outermost: list[int] = []
        taken: set[int] = set()
        for number in sorted(numbers - passed):
            if number not in taken:
                outermost.append(number)
                taken.update(self.inside[number])
        return outermost

    def is_stage(self, stages: list[int], blocks: list[int]) -> bool:
        """Tell whether calls are rows of blocks, rather than blocks made of parts.

        Rows are of several lengths, or hold nothing but blocks that are alike.
        """
        rows = [[n for n in blocks if n in self.inside[stage]] for stage in stages]
        if max(map(len, rows)) < 2:
            return False
        if len({len(row) for row in rows}) > 1:
            return True
        alike = len({self.functions(n) for row in rows for n in row}) == 1
        return alike and all(
            self.calls[m].module is not None or any(m in self.inside[n] for n in row)
            for stage, row in zip(stages, rows, strict=True)
            for m in self.inside[stage]
        )

    def activations(self, points: Collection[int]) -> list[int]:
        """Return the calls of activations among `points`: of modules where these do no more."""
        found = set()
        for number in self.among:
            call = self.calls[number]
            if call.module is not None or call.kind not in FUNCTIONS:
                continue
            around = call.parent
            if around is not None and around in self.among:
                layer = self.calls[around]
                leaf = all(self.calls[n].module is None for n in self.inside[around])
                whole = layer.made == call.made or not _has_matrices(layer)
                if leaf and whole and layer.parent is not None:
                    number = around
            if number in points:
                found.add(number)
        return sorted(found)


def _has_matrices(call: Call) -> bool:
    """Tell whether a module has weights that mix features."""
    return call.module is not None and any(p.dim() > 1 for p in call.module.parameters())


def _row(call: Call) -> str:
    """Return the name of the module that holds the one of a call."""
    return base_name(call.name).rpartition(".")[0]


def _several_chains(model: nn.Module, blocks: Sequence[Call]) -> str:
    """Say which rows of blocks a model has, and how to choose one of them."""
    rows = Counter((_row(call), call.kind) for call in blocks).most_common()
    listed = [f"{count} {kind} in {row!r}" for (row, kind), count in rows[:_MOST_ROWS]]
    listed += [f"{len(rows) - _MOST_ROWS} more"] * (len(rows) > _MOST_ROWS)
    (row, kind), _ = rows[0]
    return (
        f"layers: the blocks of {type(model).__name__} form several chains: {', '.join(listed)}; "
        f"choose one, such as layers=lambda name, module: name.startswith({row + '.'!r}) and "
        f"type(module).__name__ == {kind!r}"
    )
