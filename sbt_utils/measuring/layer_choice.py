"""Which layers of a network to measure: those asked for, or else its trunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from torch import nn

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
