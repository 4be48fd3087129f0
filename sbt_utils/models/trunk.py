"""What the forward pass of a model does: its calls, and which of them everything passes through.

A *call* is one run of a module, or of an activation called as a function. A call is a *trunk point*
if whatever the model makes of an input passes through its output; other calls lie on branches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from sbt_utils.models.calls import base_name, first_tensor, tensors, watching
from sbt_utils.models.running import evaluation_mode


@dataclass(frozen=True)
class Call:
    """One run of a module, or of an activation called as a function."""

    name: str  # such as "layers.0", "block#2" (its second call), "layers.0.relu()", "relu()#2"
    module: nn.Module | None  # None: a function
    parent: int | None  # the number of the call inside which it ran
    read: int | None  # the node of its first argument, None if it is made of no input
    made: int | None  # the node of its output

    @property
    def kind(self) -> str:
        """The name of the class of the module, or of the function, such as "relu"."""
        if self.module is not None:
            return type(self.module).__name__
        return base_name(self.name).rpartition(".")[2].removesuffix("()")


@dataclass(frozen=True)
class Chain:
    """What lies between an input of a model and one of its outputs."""

    start: int  # the node of the input
    end: int  # the node of the output
    points: frozenset[int]  # the calls through which everything passes, by their numbers
    between: frozenset[int]  # all calls on a way from the input to the output, these included
    floating: bool = True  # whether the input is, rather than numbers of words
    path: frozenset[int] = frozenset()  # the nodes through which everything passes


@dataclass(frozen=True)
class Look:
    """One forward pass of a model: its calls as they begin, and its chains."""

    calls: tuple[Call, ...]
    chains: tuple[Chain, ...]
    flow: _Flow = field(compare=False, repr=False)

    def chains_to(self, number: int) -> tuple[Chain, ...]:
        """Return the chains to what a call made, rather than to an output of the model."""
        made = self.calls[number].made
        return tuple(self.flow.chains(set() if made is None else {made}, self._made))

    def all_passes(self, numbers: Collection[int], behind: int) -> bool:
        """Tell whether each way from an input to what a call made passes through some others."""
        taken = {self._made[number] for number in numbers}
        nodes = set().union(*self.flow.trees) - taken
        last = self._made[behind]
        return last in taken or (
            last is not None and self.flow.ways(last, nodes).isdisjoint(self.flow.inputs)
        )

    @cached_property
    def _made(self) -> list[int | None]:
        return [call.made for call in self.calls]


def look(model: nn.Module, run: Callable[[], Any]) -> Look:
    """Watch a forward pass on a few samples, in evaluation mode and without gradients.

    Parameters
    ----------
    model : torch.nn.Module
        As ``unwrapped`` of `sbt_utils.models.calls` returns it.
    run : callable
        Runs the model, and returns what it makes of the samples. Tensors given to the model, or to
        those of its modules that `run` calls itself, are the inputs.

    Returns
    -------
    Look
        Chains are those from each input to each output, less those that are part of another. A
        single number, such as a loss, is an output only where there is no other.

    Notes
    -----
    Tensors are told apart by their storage, so views count as what they view. Truth values are
    not followed, unless nothing else leads to the outputs: what is computed of them masks features,
    and reaches every block of a transformer.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> seen = look(model, lambda: model(torch.zeros(3, 5)))
    >>> [call.name for call in seen.calls]
    ['Sequential', '0', '1', '1.relu()', '2']
    >>> [sorted(chain.points) for chain in seen.chains]
    [[0, 1, 2, 3, 4]]
    """
    flow = _Flow()
    calls: list[dict[str, Any]] = []
    running: list[int] = []
    outputs: list[Tensor] = []

    def begin(name: str, module: nn.Module | None, arguments: Any) -> None:
        parent = running[-1] if running else None
        given = tensors(arguments)
        for tensor in given if parent is None else ():
            flow.add_input(tensor)
        read = flow.node(given[0]) if given else None
        running.append(len(calls))
        calls.append({"name": name, "module": module, "parent": parent, "read": read, "made": None})

    def end(name: str, output: Any) -> None:
        call = calls[running[-1]]
        if call["module"] is None:
            flow.join(tensors(output))
        if (tensor := first_tensor(output)) is not None:
            call["made"] = flow.node(tensor)
        if call["parent"] is None:
            outputs.extend(tensors(output))

    devices = {t.device.index for t in model.parameters() if t.device.type == "cuda"}
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluation_mode(model))
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(flow)
        stack.enter_context(watching(model, end, begin, leave=running.pop))
        outputs.extend(tensors(run()))
    made = [call["made"] for call in calls]
    floating = [t for t in outputs if t.is_floating_point() and flow.node(t) is not None]
    ends = {flow.nodes[_storage(t)] for t in [t for t in floating if t.dim()] or floating}
    # An output may hold its tensors out of sight: then the last that was made.
    ends = ends or {max((node for node in made if node is not None), default=0)}
    flow.nodes.clear()
    return Look(tuple(Call(**call) for call in calls), tuple(flow.chains(ends, made)), flow)


class _Flow(TorchDispatchMode):
    """Which tensors are made of which, from the inputs on: a node per storage and its version.

    Nodes come in an order in which each follows those that it is made of.
    """

    def __init__(self) -> None:
        super().__init__()
        # Weak references keep no values alive, but keep addresses from being used again.
        self.nodes: dict[StorageWeakRef, int] = {}
        self.sources: list[set[int]] = []
        self.inputs: list[int] = []
        self.floating: set[int] = set()  # of the inputs
        self.truth_values: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, for seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.name().rpartition("::")[2].partition(".")[0]
        if name.startswith("new_") or name.endswith("_like"):
            return output  # takes a shape alone
        given = {_storage(tensor) for tensor in tensors((args, kwargs or {}))}
        sources = {self.nodes[storage] for storage in given if storage in self.nodes}
        if sources:
            written = {_storage(tensor) for tensor in tensors(_written(func, args, kwargs or {}))}
            # A view is what it views; what is written to is another tensor from then on.
            made = {_storage(t): t.dtype is torch.bool for t in tensors(output)}
            for storage in (made.keys() - given) | written:
                self.nodes[storage] = len(self.sources)
                if made.get(storage):
                    self.truth_values.add(len(self.sources))
                self.sources.append(sources)
        return output

    def node(self, tensor: Tensor) -> int | None:
        """Return the node of a tensor, None if it is made of no input."""
        return self.nodes.get(_storage(tensor))

    def join(self, outputs: Sequence[Tensor]) -> None:
        """Take all outputs of a function for one: what an LSTM makes is also its last state."""
        sources = {node for tensor in outputs if (node := self.node(tensor)) is not None}
        if len(sources) > 1:
            self.nodes |= {_storage(tensor): len(self.sources) for tensor in outputs}
            self.sources.append(sources)

    def add_input(self, tensor: Tensor) -> None:
        """Take a tensor for an input of the model, unless it is made of others."""
        if self.node(tensor) is None:
            self.nodes[_storage(tensor)] = len(self.sources)
            self.inputs.append(len(self.sources))
            if tensor.is_floating_point():
                self.floating.add(len(self.sources))
            self.sources.append(set())

    def chains(self, ends: set[int], made: list[int | None]) -> Iterator[Chain]:
        """Yield the chains from each input to each of the nodes `ends` that lies on no other."""
        above = dict(zip(self.inputs, self.trees, strict=True))
        if all(ends.isdisjoint(nodes) for nodes in above.values()):
            above = {start: self.dominators(start, set()) for start in self.inputs}
        paths = {
            (start, end): set(_path(end, nodes))
            for start, nodes in above.items()
            for end in ends.intersection(nodes)
        }
        passed = {e for (_, end), path in paths.items() for e in ends & path if e != end}
        for (start, end), path in paths.items():
            if end not in passed:
                floating = start in self.floating
                ways = self.ways(end, above[start].keys())
                points, between = (
                    frozenset(number for number, node in enumerate(made) if node in nodes)
                    for nodes in (path, ways)
                )
                yield Chain(start, end, points, between, floating, frozenset(path))

    @cached_property
    def trees(self) -> list[dict[int, int]]:
        """Return the dominators of what is made of each input, truth values aside."""
        return [self.dominators(start, self.truth_values) for start in self.inputs]

    def dominators(self, start: int, left_out: set[int]) -> dict[int, int]:
        """Return for each node made of `start` the last through which all of its ways pass."""
        above = {start: start}
        depth = {start: 0}
        for node in range(start + 1, len(self.sources)):
            last = None
            for source in self.sources[node]:
                if source in above and node not in left_out:
                    last = source if last is None else _meet(last, source, above, depth)
            if last is not None:
                above[node], depth[node] = last, depth[last] + 1
        return above

    def ways(self, end: int, among: Collection[int]) -> set[int]:
        """Return the nodes of which `end` is made, itself included."""
        seen, new = {end}, [end]
        while new:
            new = [s for node in new for s in self.sources[node] if s in among and s not in seen]
            seen.update(new)
        return seen


def _meet(one: int, other: int, above: dict[int, int], depth: dict[int, int]) -> int:
    """Return the last node that is on the paths of both."""
    while one != other:
        if depth[one] < depth[other]:
            one, other = other, one
        one = above[one]
    return one


def _path(node: int, above: dict[int, int]) -> Iterator[int]:
    """Yield a node and all through which everything passes on the way to it, the last first."""
    yield node
    while node != above[node]:
        yield (node := above[node])


def _storage(tensor: Tensor) -> Any:
    try:
        return StorageWeakRef(tensor.untyped_storage())
    except (NotImplementedError, RuntimeError):  # a sparse tensor has none
        return id(tensor)


def _written(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """Return the arguments that an operation writes to."""
    if not func._schema.is_mutable:
        return []
    return [
        args[place] if place < len(args) else kwargs.get(argument.name)
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
