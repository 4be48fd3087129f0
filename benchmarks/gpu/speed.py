"""Part 2 of the GPU command: rates of the card, and what of them training reaches.

What a training step must do at least is counted, and gives three limits of its time:

- arithmetic: 6 operations for each weight of a linear layer and image (2 for a multiply-add,
  forwards, and backwards to the inputs and to the weights), at the card's own sgemm rate;
- memory: 40 bytes for each parameter (read forwards and backwards, its gradient written and read,
  Adam's three numbers read and written) and 28 for each feature and image (written once and read
  four times: by the next product, by the sums of the batch normalisation backwards, as that
  product's result and as the next one's input; its gradient written once and read once), at the
  card's copy bandwidth, as if nothing stayed in the caches;
- launches: a kernel for each product forwards, one backwards, and one for Adam, each of which
  waits for the one before it, at the time of a kernel that does nothing in a CUDA graph.

The largest is the limit; the share is limit over measured time. TF32 is off, as by default.
Figures are medians of `REPEATS`.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from timing import seconds
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.sweeping.experiments import PHASE_DIAGRAMS, Experiment, published
from sbt_utils.sweeping.shards import cut
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

Round = tuple[str, Callable[[], dict[str, Any]]]
REPEATS = 3
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"matrix": 256, "copied": 2**22, "kernels": 50, "seconds": 0.0, "steps": 3},
    "paper": {"matrix": 8192, "copied": 2**30, "kernels": 2000, "seconds": 1.0, "steps": 50},
}
"""Sides of a matrix; bytes to copy; kernels in a graph; seconds to train; the loop's steps."""
COMPILED = (("default", 20), ("reduce-overhead", 20), ("default", 2560))
"""Modes and batch sizes of the compiled loop: it is compiled anew for each."""
MEMBERS = 240
"""At most so many networks of a group are timed together, about as many of each cell."""


def rounds(options: argparse.Namespace) -> Iterator[Round]:
    device, sizes = options.device, SIZES[options.profile]
    yield "card", partial(card, device, sizes)
    rates: dict[str, float] = {}

    def measured(experiment: Experiment, group: list[int]) -> dict[str, Any]:
        # Measured anew by each call of the command: it takes a second.
        rates.update(rates or card(device, sizes))
        return axis(experiment, group, device, sizes, rates)

    for noise, _ in PHASE_DIAGRAMS:
        experiment = published(noise, options.profile)
        for group in cut(experiment, set(range(len(experiment))), len(experiment)):
            batch = experiment.network(group[0])["batch_size"]
            label = f"batch_size {batch}" if noise == "batch_size" else noise
            yield label, partial(measured, experiment, group[:: -(-len(group) // MEMBERS)])
    for mode, batch in COMPILED:
        yield f"compiled, {mode}, batch {batch}", partial(compiled, mode, batch, device, sizes)


def timed(function: Callable[[], object], device: str) -> float:
    """Return the seconds until the device has done all of it; it is idle before."""
    wait = torch.cuda.synchronize if device != "cpu" else lambda: None
    wait()
    return seconds(lambda: (function(), wait()))


def median(function: Callable[[], object], device: str, repeats: int = REPEATS) -> float:
    function()
    return statistics.median(timed(function, device) for _ in range(repeats))


def card(device: str, sizes: dict[str, Any]) -> dict[str, float]:
    """Measure the three rates; random numbers, as zeros may be faster."""
    side, count = sizes["matrix"], sizes["copied"] // 4
    a, b, product = (torch.randn(side, side, device=device) for _ in range(3))
    one, other = torch.randn(2, count, device=device)
    return {
        "sgemm_operations": 2 * side**3 / median(lambda: torch.mm(a, b, out=product), device, 9),
        "copied_bytes": 8 * count / median(lambda: other.copy_(one), device, 9),
        "kernel_seconds": median(many_kernels(device, sizes["kernels"]), device) / sizes["kernels"],
    }


def many_kernels(device: str, count: int) -> Callable[[], object]:
    """Return a function that runs so many small kernels, on a GPU by the replay of a graph."""
    number = torch.zeros(1, device=device)

    def run() -> None:
        for _ in range(count):
            number.add_(1)

    if device == "cpu":
        return run
    run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def axis(
    experiment: Experiment,
    group: list[int],
    device: str,
    sizes: dict[str, Any],
    rates: dict[str, float],
) -> dict[str, Any]:
    """Time networks of an experiment that share their batch size: its training, not measuring."""
    members, data = [experiment.network(number) for number in group], load_data("mnist")
    batch = members[0]["batch_size"]
    names = ("negative_slope", "dropout", "learning_rate", "data_noise", "batch_size")
    settings: dict[str, Any] = {name: [member[name] for member in members] for name in names}
    settings |= {"seeds": [m["seed"] for m in members], "device": device, "progress": False}
    images = data.train_images, data.train_labels

    def epochs(count: int) -> float:
        return timed(lambda: train(MLP(), images, epochs=count, **settings), device)

    start = median(lambda: epochs(1), device)  # once more before, which compiles
    # The difference leaves out what a call costs however long it trains. It varies: whatever is
    # trained must take longer.
    more = 1
    while epochs(1 + more) < start + sizes["seconds"]:
        more *= 4
    an_epoch = statistics.median(epochs(1 + more) - start for _ in range(REPEATS)) / more
    steps = -(-experiment.train // batch)
    step, plain = an_epoch / steps, loop(batch, device, sizes["steps"])
    limits = step_limits(len(members), batch, rates)
    longest = max(limits, key=lambda name: limits[name])
    return {
        "members": len(members),
        "batch_size": batch,
        "networks_per_second": len(members) / (an_epoch * experiment.epochs),
        "start_seconds": start,
        "step_seconds": step,
        "limits_seconds": limits,
        "limit": longest,
        "share_of_limit": limits[longest] / step,
        "loop_step_seconds": plain,
        "times_loop": plain * len(members) / step,
    }


def step_limits(members: int, batch: int, rates: dict[str, float]) -> dict[str, float]:
    """Return the limits in the module's docstring for a step of all members, in seconds."""
    network = MLP()
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    weights = sum(layer.weight.numel() for layer in linear)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    features = sum(layer.out_features for layer in linear)
    return {
        "arithmetic": 6 * weights * batch * members / rates["sgemm_operations"],
        "memory": (40 * parameters + 28 * features * batch) * members / rates["copied_bytes"],
        "launches": (2 * len(linear) + 1) * rates["kernel_seconds"],
    }


def loop(
    batch: int, device: str, steps: int, prepare: Callable[[nn.Module], Any] = lambda n: n
) -> float:
    """Return the seconds of a step of one network: stock layers, autograd and Adam.

    Batches are slices, which is quicker than drawing them, and there is no data noise.
    """
    data, network = load_data("mnist"), MLP(dropout=0.1).to(device)
    images, labels = data.train_images.to(device), data.train_labels.to(device)
    prepared, optimizer = prepare(network), torch.optim.Adam(network.parameters(), lr=1e-3)

    def run() -> None:
        for step in range(steps):
            start = step * batch % (len(images) // batch * batch)
            part = slice(start, start + batch)
            loss = nn.functional.cross_entropy(prepared(images[part]), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return median(run, device) / steps


def compiled(mode: str, batch: int, device: str, sizes: dict[str, Any]) -> dict[str, Any]:
    """Time the loop with a compiled network; on a CPU, for the dry run, without a compiler."""
    torch.compiler.reset()
    how: dict[str, Any] = {"backend": "eager"} if device == "cpu" else {"mode": mode}
    plain = loop(batch, device, sizes["steps"])
    faster = loop(batch, device, sizes["steps"], partial(torch.compile, dynamic=False, **how))
    return {
        "batch_size": batch,
        "loop_step_seconds": plain,
        "compiled_step_seconds": faster,
        "times_loop": plain / faster,
    }
