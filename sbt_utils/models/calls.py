"""Calls in a forward pass: each run of a module, or of an activation called as a function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, jit, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel
from torch.overrides import TorchFunctionMode

# What torch counts as an activation, less what mixes features into probabilities or attention.
_KINDS = {name.lower() for name in nn.modules.activation.__all__ if "Softm" not in name}
ACTIVATIONS = {name for name in dir(functional) if name.replace("_", "") in _KINDS}
ACTIVATIONS |= {"gru", "lstm", "quantized_gru", "quantized_lstm", "rnn_relu", "rnn_tanh", "sin"}
"""Functions, by name, whose output counts as features after an activation."""

ATTENTION = {"multi_head_attention_forward", "scaled_dot_product_attention", "softmax"}
"""Functions, by name, that are not linear either, but mix features."""


@contextmanager
def watching(
    model: nn.Module,
    end: Callable[[str, Any], None],
    begin: Callable[[str, nn.Module | None, Any], None] | None = None,
    functions: bool = True,
    leave: Callable[[], Any] | None = None,
) -> Iterator[Counter[str]]:
    """Call ``end(name, output)`` after each call in a model that runs meanwhile.

    ``begin(name, module, arguments)`` is called before it, and ``leave()`` when it is over, even by
    an error. Yields how often each name has been called: clear it ahead of each forward pass, for
    calls to be numbered from 1 again. What is compiled in the model runs uncompiled meanwhile.
    Where functions are watched, too, PyTorch takes other ways through attention, which round
    differently.
    """
    names = names_of(model)
    counts: Counter[str] = Counter()
    running: list[tuple[nn.Module, str]] = []

    def numbered(name: str) -> str:
        counts[name] += 1
        return name if counts[name] == 1 else f"{name}#{counts[name]}"

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        name = numbered(names[module])
        running.append((module, name))  # first, for it ends even where `begin` fails
        if begin is not None:
            begin(name, module, (args, kwargs))

    def after(module: nn.Module, args: Any, output: Any) -> None:
        end(running[-1][1], output)

    def over(module: nn.Module, args: Any, output: Any) -> None:
        running.pop()
        if leave is not None:
            leave()

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
            kind = getattr(func, "__name__", "").partition(".")[0].rstrip("_")
            if kind not in ACTIVATIONS and kind not in ATTENTION:
                return func(*args, **(kwargs or {}))
            owner = names[running[-1][0]] if running else ""
            # Those of the model itself go without its name.
            prefix = f"{owner}." if running and running[-1][0] is not model else ""
            name = numbered(f"{prefix}{kind}()")
            if begin is not None:
                begin(name, None, (args, kwargs))
            try:
                output = func(*args, **(kwargs or {}))
                end(name, output)
            finally:
                if leave is not None:
                    leave()
            return output

    with ExitStack() as stack:
        stack.enter_context(_uncompiled(model))
        for module in names:
            hook = module.register_forward_pre_hook(before, with_kwargs=True)
            stack.callback(hook.remove)
            stack.callback(module.register_forward_hook(after).remove)
            # Also when the module fails and the model catches the error.
            stack.callback(module.register_forward_hook(over, always_call=True).remove)
        if functions:
            stack.enter_context(Functions())
        yield counts


@contextmanager
def watching_row(
    model: nn.Module,
    row: Sequence[tuple[str, nn.Module]],
    names: Collection[str],
    end: Callable[[str, Any], None],
    begin: Callable[[str, nn.Module | None, Any], None],
) -> Iterator[Counter[str]]:
    """Do as `watching` for some layers of a model that runs the layers of a row in turn.

    It does without hooks, which take as long as a small network. Those of the layers still run.
    """
    counts: Counter[str] = Counter()

    def forward(input: Any) -> Any:
        for name, layer in row:
            if name not in names:
                input = layer(input)
                continue
            counts[name] += 1
            begin(name, layer, input)
            input = layer(input)
            end(name, input)
        return input

    with _uncompiled(model), ExitStack() as stack:
        stack.callback(vars(model).pop, "forward", None)  # first: Ctrl-C may come in the next line
        vars(model)["forward"] = forward
        yield counts


@contextmanager
def _uncompiled(model: nn.Module) -> Iterator[None]:
    """Run the compiled modules of a model as they were before, since compiling may reject hooks."""
    # By `torch.compiler.set_stance`, other threads would change, too.
    changed: list[tuple[nn.Module, str, Any]] = []
    for module in model.modules():
        changed.append((module, "_compiled_call_impl", None))
        if "_orig_mod" in module._modules:
            changed.append((module, "forward", module.get_submodule("_orig_mod")))
    former = [(vars(m), name, vars(m)[name]) for m, name, _ in changed if name in vars(m)]
    try:
        for module, name, value in changed:
            if name in vars(module):
                vars(module)[name] = value
        yield
    finally:
        for attributes, name, value in former:
            attributes[name] = value


def names_of(model: nn.Module) -> dict[nn.Module, str]:
    """Return the modules of a model with their first names, less those that `compile` puts around.

    The model itself goes by the name of its class.
    """
    return {
        module: name_in_model(name) or type(model).__name__
        for name, module in model.named_modules()
        if "_orig_mod" not in module._modules
    }


def name_in_model(name: str) -> str:
    """Return the name of a module without what `torch.compile` adds to it."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def base_name(name: str) -> str:
    """Return the name of a call without its number: "block" of "block#2"."""
    return name.partition("#")[0]


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside of `torch.compile`, `DataParallel` and the like.

    Raises
    ------
    TypeError
        A scripted, traced or exported model, whose layers can't be told apart.
    """
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)
    while "_orig_mod" in model._modules or isinstance(model, wrappers):
        model = model.get_submodule("_orig_mod" if "_orig_mod" in model._modules else "module")
    kind = type(model).__name__
    if isinstance(model, jit.ScriptModule):
        raise TypeError(f"model: {kind}, scripted or traced, runs as one; give the original module")
    return model


def first_tensor(output: Any) -> Tensor | None:
    """Return the first floating tensor in nested tuples, lists, mappings and dataclasses."""
    return next((tensor for tensor in tensors(output) if tensor.is_floating_point()), None)


def tensors(output: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(output, Tensor):
        return [output]
    if output is None or isinstance(output, (int, float, str)):  # most arguments are
        return []
    if is_mapping(output):
        output = [output[name] for name in output.keys()]  # noqa: SIM118  # not all iterate by name
    elif is_dataclass(output) and not isinstance(output, type):
        output = [getattr(output, field.name, None) for field in fields(output)]
    if not isinstance(output, (tuple, list)):
        return []
    return [tensor for part in output for tensor in tensors(part)]


def is_mapping(value: Any) -> bool:
    """Tell whether a value has names for its parts, as graphs and batches of other libraries do."""
    if isinstance(value, (Mapping, Tensor, nn.Module, type)):
        return isinstance(value, Mapping)
    return callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__")


def are_samples(value: Any, samples: int) -> bool:
    """Tell whether a list holds an array for each sample, rather than several inputs."""
    shapes = [getattr(part, "shape", None) for part in value] if isinstance(value, list) else []
    return len(shapes) == samples and all(shapes) and any(s[0] != samples for s in shapes if s)
