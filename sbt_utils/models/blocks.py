"""The blocks and activations of a chain of calls, of which its trunk is made."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection

from torch import nn

from sbt_utils.models.calls import ACTIVATIONS, base_name
from sbt_utils.models.trunk import Call, Chain, Look

# Activations, in small letters, that make probabilities of what the network computes.
_READ_OUT = ("sigmoid", "logsigmoid", "hardsigmoid")

_PART = 3  # times as often inside of other blocks as beside them: then a kind is a part of blocks


def blocks_on(look: Look, chain: Chain) -> tuple[int, ...]:
    """Return the repeated blocks through which everything in a chain passes.

    They are numbers of calls, in the order in which these begin. What occurs but once may take
    its turn in a row of blocks, as Inception's reductions do.
    """
    calls = look.calls
    part = Part(look, sorted(chain.between))
    blocks = part.blocks(chain.points)
    linear = not any(map(part.functions, blocks))
    if linear and len(part.activations(chain.points)) + 1 >= len(blocks):
        return ()  # such as low-rank adapters, with activations between them
    rows = {_row(calls[n]) for n in blocks}
    taken = {m for n in blocks for m in (n, *part.inside[n])}
    single = [
        n
        for n in chain.points.difference(taken).intersection(part.parents)
        if part.count[calls[n].kind] == 1
        and _row(calls[n]) in rows
        and calls[n].made != chain.end
        and taken.isdisjoint(part.inside[n])
        and part.functions(n)
        and _has_matrices(calls[n])
    ]
    return tuple(sorted([*blocks, *single])) if len(blocks) > 1 else ()


def activations_on(look: Look, chain: Chain) -> tuple[int, ...]:
    """Return the activations through which everything in a chain passes.

    But for a last one that makes probabilities of logits, which are no features.
    """
    *numbers, last = Part(look, sorted(chain.between)).activations(chain.points) or [-1]
    if last < 0:
        return ()
    others = {look.calls[number].kind for number in numbers}
    kind = look.calls[last].kind
    reads_out = kind.replace("_", "").lower() in _READ_OUT and look.calls[last].made == chain.end
    return (*numbers, last) if not reads_out or others <= {kind} else tuple(numbers)


def _row(call: Call) -> str:
    """Return what blocks of all stages have in common: "stages..blocks" of "stages.1.blocks.0"."""
    return re.sub(r"\d", "", holder(call))


def holder(call: Call) -> str:
    """Return the name of the module that holds the one of a call: "layers" of "layers.0"."""
    return base_name(call.name).rpartition(".")[0]


class Part:
    """Some of the calls in a forward pass, and what runs inside of each."""

    def __init__(self, look: Look, among: Collection[int]) -> None:
        self.look, self.calls, self.among = look, look.calls, among
        calls = look.calls
        self.count = Counter(call.kind for call in calls if call.made is not None)
        self.inside: defaultdict[int, set[int]] = defaultdict(set)
        for number in among:
            around = calls[number].parent
            while around is not None:
                self.inside[around].add(number)
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
        """Return the outermost repeated calls, less stages, of kinds that are all of `points`.

        Without any points, stages are those that nothing passes but through their blocks.
        """
        kinds: defaultdict[str, list[int]] = defaultdict(list)
        for number in self.parents:
            kinds[self.calls[number].kind].append(number)
        repeated = [ns for kind, ns in kinds.items() if self.count[kind] > 1]
        if points is not None:
            repeated = [on for ns in repeated if (on := self.all_of(ns, points))]
        # What only maps linearly, such as the merging of patches, is no block, nor is what only
        # normalises and activates.
        for tell in (self.functions, lambda n: _has_matrices(self.calls[n])):
            repeated = [ns for ns in repeated if any(map(tell, ns))] or repeated
        pairs = itertools.permutations(repeated, 2)
        stages = [a for a, b in pairs if self.are_rows(a, b, points is not None)]
        numbers = {n for ns in repeated for n in ns}
        passed = {n for ns in stages for n in ns if not numbers.isdisjoint(self.inside[n])}
        outermost: list[int] = []
        taken: set[int] = set()
        for number in sorted(numbers - passed):
            if number not in taken:
                outermost.append(number)
                taken.update(self.inside[number])
        return self.without_parts(outermost)

    def without_parts(self, blocks: list[int]) -> list[int]:
        """Leave out calls of kinds that run inside of other blocks rather than beside them."""
        beside = Counter(self.calls[n].kind for n in blocks)
        inside = Counter(
            self.calls[m].kind
            for n in blocks
            for m in self.inside[n]
            if self.calls[m].kind != self.calls[n].kind
        )
        parts = {kind for kind in beside if inside[kind] >= _PART * beside[kind]}
        return [n for n in blocks if self.calls[n].kind not in parts] or blocks

    def all_of(self, numbers: list[int], points: Collection[int]) -> list[int]:
        """Return the calls of a kind if all are points, or if those are that no other holds.

        None of a kind that hands on the same tensor, whatever else it makes.
        """
        if all(self.calls[n].read == self.calls[n].made for n in numbers):
            return []
        outer = [n for n in numbers if not any(n in self.inside[m] for m in numbers)]
        for some in (numbers, outer):
            if all(n in points for n in some) and (some is numbers or len(some) > 1):
                return some
        return []

    def are_rows(self, stages: list[int], blocks: list[int], on_trunk: bool) -> bool:
        """Tell whether calls are rows of blocks, rather than blocks made of such parts.

        The blocks of a row have one name but for their numbers. Rows are of several lengths, or
        hold nothing but blocks that are alike.
        """
        rows = [[n for n in blocks if n in self.inside[stage]] for stage in stages]
        around = (Counter(map(self.place, row)).values() for row in rows)
        if max(itertools.chain(*around), default=0) < 2:
            return False
        pairs = [(row, stage) for row, stage in zip(rows, stages, strict=True) if row]
        if not on_trunk and not all(self.look.all_passes(*pair) for pair in pairs):
            return False
        if len({len(row) for row in rows}) > 1:
            return True
        alike = len({self.functions(n) for row in rows for n in row}) == 1
        return alike and all(
            self.calls[m].module is not None or any(m in self.inside[n] for n in row)
            for stage, row in zip(stages, rows, strict=True)
            for m in self.inside[stage]
        )

    def place(self, number: int) -> tuple[str, str]:
        """Return the kind of the call inside which another runs, lists of modules aside, and where.

        That is its name there, without digits.
        """
        around = self.calls[number].parent
        while around is not None and around not in self.parents:
            around = self.calls[around].parent
        kind = "" if around is None else self.calls[around].kind
        return kind, re.sub(r"\d", "", base_name(self.calls[number].name))

    def activations(self, points: Collection[int] | None = None) -> list[int]:
        """Return the activations among `points`: calls of modules where these do little else."""
        found = set()
        for number in self.among:
            call = self.calls[number]
            if call.module is not None or call.kind not in ACTIVATIONS:
                continue
            around = call.parent
            if around is not None and around in self.among:
                layer = self.calls[around]
                leaf = all(self.calls[n].module is None for n in self.inside[around])
                whole = layer.made == call.made or not _has_matrices(layer)
                if leaf and whole and layer.parent is not None:
                    number = around
            if points is None or number in points:
                found.add(number)
        return sorted(found)


def _has_matrices(call: Call) -> bool:
    """Tell whether a module has weights that mix features."""
    return call.module is not None and any(p.dim() > 1 for p in call.module.parameters())
