"""The blocks and activations of a chain of calls, of which its trunk is made."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from torch import nn

from sbt_utils.models.calls import ACTIVATIONS, base_name
from sbt_utils.models.trunk import Call, Chain


def blocks_on(calls: Sequence[Call], chain: Chain) -> tuple[int, ...]:
    """Return the repeated blocks through which everything in a chain passes.

    They are numbers of `calls`, in the order in which these begin. What occurs but once may take
    its turn in a row of blocks, as Inception's reductions do.
    """
    part = Part(calls, sorted(chain.between))
    blocks = part.blocks(chain.points)
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
    return tuple(sorted([*blocks, *single]))


def activations_on(calls: Sequence[Call], chain: Chain) -> tuple[int, ...]:
    """Return the activations through which everything in a chain passes."""
    return tuple(Part(calls, sorted(chain.between)).activations(chain.points))


def _row(call: Call) -> str:
    """Return what blocks of all stages have in common: "stages..blocks" of "stages.1.blocks.0"."""
    return re.sub(r"\d", "", holder(call))


def holder(call: Call) -> str:
    """Return the name of the module that holds the one of a call: "layers" of "layers.0"."""
    return base_name(call.name).rpartition(".")[0]


class Part:
    """Some of the calls in a forward pass, and what runs inside of each."""

    def __init__(self, calls: Sequence[Call], among: Collection[int]) -> None:
        self.calls, self.among = calls, among
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
        """Return the outermost repeated calls, less stages, of kinds that are all of `points`."""
        kinds: defaultdict[str, list[int]] = defaultdict(list)
        for number in self.parents:
            kinds[self.calls[number].kind].append(number)
        repeated = [ns for kind, ns in kinds.items() if self.count[kind] > 1]
        if points is not None:
            repeated = [ns for ns in repeated if all(n in points for n in ns)]
        # What only maps linearly, such as the merging of patches, is no block, nor is what only
        # normalises and activates.
        for tell in (self.functions, lambda n: _has_matrices(self.calls[n])):
            repeated = [ns for ns in repeated if any(map(tell, ns))] or repeated
        pairs = itertools.permutations(repeated, 2)
        stages = [a for a, b in pairs if self.are_rows(a, b)]
        numbers = {n for ns in repeated for n in ns}
        passed = {n for ns in stages for n in ns if not numbers.isdisjoint(self.inside[n])}
        outermost: list[int] = []
        taken: set[int] = set()
        for number in sorted(numbers - passed):
            if number not in taken:
                outermost.append(number)
                taken.update(self.inside[number])
        return outermost

    def are_rows(self, stages: list[int], blocks: list[int]) -> bool:
        """Tell whether calls are rows of blocks, rather than blocks made of such parts.

        Rows are of several lengths, or hold nothing but blocks that are alike.
        """
        rows = [[n for n in blocks if n in self.inside[stage]] for stage in stages]
        around = (Counter(self.kind_around(n) for n in row).values() for row in rows)
        if max(itertools.chain(*around), default=0) < 2:
            return False
        if len({len(row) for row in rows}) > 1:
            return True
        alike = len({self.functions(n) for row in rows for n in row}) == 1
        return alike and all(
            self.calls[m].module is not None or any(m in self.inside[n] for n in row)
            for stage, row in zip(stages, rows, strict=True)
            for m in self.inside[stage]
        )

    def kind_around(self, number: int) -> str:
        """Return the kind of the call inside which another runs, lists of modules aside."""
        around = self.calls[number].parent
        while around is not None and around not in self.parents:
            around = self.calls[around].parent
        return "" if around is None else self.calls[around].kind

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
