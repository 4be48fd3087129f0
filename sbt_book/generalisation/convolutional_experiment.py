"""The published experiment on convolutional networks, in rounds: its 2,000 epochs take hours."""

import io
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import nn
from tqdm.auto import tqdm

from sbt_book.common.parts import remove_parts
from sbt_utils import results
from sbt_utils.data.datasets import Dataset
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import network_seed
from sbt_utils.training.networks import CNN
from sbt_utils.training.trainer import train

DROPOUTS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""The published levels."""


def dropout_in_rounds(
    data: Dataset,
    out: str | os.PathLike[str],
    *,
    dropouts: Sequence[float] = DROPOUTS,
    seeds: int = 10,
    epochs: int = 2000,
    every: int = 100,
    until: int | None = None,
    network: CNN | None = None,
    learning_rate: float = 1e-4,
    device: str = "cpu",
    progress: bool = True,
) -> xr.Dataset:
    """Train convolutional networks at several dropouts, and measure them every so many epochs.

    Shi, Pan & Dokmanić, Phys. Rev. Lett. (2025), arXiv:2407.19353. An interrupted experiment
    resumes at its last checkpoint when it is called again.

    Parameters
    ----------
    data : Dataset
        ``load_data("cifar10")`` as published.
    out : path-like
        The results file, ending in ``.nc``. Until it is there, finished rounds and the networks of
        the last one are in a folder of the same name that ends in ``.parts``: on another machine,
        too, the experiment resumes from it.
    dropouts, seeds
        Levels p in [0, 1), and how many networks to train at each.
    epochs, every : int
        How many to train, full batch, and after how many to measure.
    until : int, optional
        Stop at the last checkpoint up to this epoch (the first one is always reached) and return
        what there is; call again to go on.
    network : CNN, optional
        The architecture; default the published one.
    learning_rate, device, progress
        As in `sbt_utils.training.trainer.train`, with Adam; the bar is over the epochs.

    Returns
    -------
    xarray.Dataset
        ``separation_train``, ``separation_test`` (noise, seed, checkpoint, layer), measure "trace"
        after the pooling; ``accuracy_train``, ``accuracy_test``, fractions, and ``loss_train``
        (noise, seed, checkpoint). The coordinate ``checkpoint`` counts epochs. The attribute
        ``card`` names the GPU, or those that took turns.

    Raises
    ------
    ValueError
        If `out` or its ``.parts`` hold the results of other settings.
    """
    network = network or CNN(classes=data.classes)
    configuration = {
        "data": data.source,
        "train": len(data.train_images),
        "test": len(data.test_images),
        "network": str(network),
        "dropouts": list(dropouts),
        "seeds": seeds,
        "epochs": epochs,
        "every": every,
        "learning_rate": learning_rate,
        "optimizer": "adam",
        "device": device,
    }
    parts, stops = Path(out).with_suffix(".parts"), (*range(every, epochs, every), epochs)
    file = parts / "rounds.nc"
    cells = [(float(p), seed) for p in dropouts for seed in range(seeds)]
    levels, numbers = map(list, zip(*cells, strict=True))

    def advance(done: xr.Dataset | None, stop: int) -> xr.Dataset:
        """Train on to a checkpoint; keep the networks, return all that was measured so far."""
        begun = time.perf_counter()
        run = train(
            network,
            (data.train_images, data.train_labels),
            seeds=[network_seed(0, ["dropout", "CNN"], {"dropout": p}, n) for p, n in cells],
            dropout=levels,
            learning_rate=learning_rate,
            epochs=stop,
            # Without these networks, training begins at epoch 0 and arrives at the same.
            resume=None if done is None else _load_state(parts, int(done.checkpoint[-1])),
            device=device,
            progress=False,
        )
        parts.mkdir(parents=True, exist_ok=True)
        _save_state(run.state, parts, stop)
        measured = _measure([network.to(device) for network in run.networks], data, device)
        measured = measured.assign_coords(noise=("member", levels), seed=("member", numbers))
        measured = measured.set_index(member=["noise", "seed"]).unstack("member")
        measured = measured.expand_dims(checkpoint=[stop])
        cards = [] if device == "cpu" else [torch.cuda.get_device_name(device)]
        if done is not None:
            cards = list(dict.fromkeys([*filter(None, done.card.split(", ")), *cards]))
            measured = xr.concat([done, measured], "checkpoint", combine_attrs="drop")
        before = 0.0 if done is None else done.wall_time_seconds
        seconds = float(before + time.perf_counter() - begun)
        return measured.assign_attrs(card=", ".join(cards), wall_time_seconds=seconds)

    if not Path(out).exists():
        with tqdm(total=epochs, unit="epoch", disable=not progress) as bar:
            done = results.kept(file, configuration, lambda: advance(None, stops[0]))
            bar.update(int(done.checkpoint[-1]))
            for stop in stops[done.sizes["checkpoint"] :]:
                if until is not None and stop > until:
                    return done
                reached = int(done.checkpoint[-1])
                done = advance(done, stop)
                results.save(done, file, configuration, done.wall_time_seconds)
                remove_parts(_pieces(parts, reached))
                bar.update(stop - reached)
    whole = results.kept(
        out, configuration, lambda: done.transpose("noise", "seed", "checkpoint", "layer")
    )
    remove_parts([*parts.glob("[0-9]*of[0-9]*.pt"), file])
    return whole


PIECE = 15 * 2**20
"""Bytes in a file of networks, at most: larger ones are awkward to carry to another machine."""


def _pieces(folder: Path, epoch: int) -> Iterable[Path]:
    return sorted(folder.glob(f"{epoch:06d}.*of*.pt"))


def _save_state(state: dict[str, Any], folder: Path, epoch: int) -> None:
    """Write the networks at an epoch, in pieces."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    whole = buffer.getvalue()
    count = -(-len(whole) // PIECE)
    for number in range(count):
        piece = folder / f"{epoch:06d}.{number + 1:02d}of{count:02d}.pt"
        with results.whole_file(piece) as temporary:
            temporary.write_bytes(whole[number * PIECE : (number + 1) * PIECE])


def _load_state(folder: Path, epoch: int) -> dict[str, Any] | None:
    """Read the networks at an epoch; None unless all pieces are there."""
    pieces = list(_pieces(folder, epoch))
    if not pieces or len(pieces) != int(pieces[0].stem.rpartition("of")[2]):
        return None
    whole = b"".join(piece.read_bytes() for piece in pieces)
    return torch.load(io.BytesIO(whole), weights_only=True)


def _measure(networks: list[nn.Module], data: Dataset, device: str) -> xr.Dataset:
    """Return the load curves, accuracies and losses of networks, over member and layer."""
    parts = {
        "train": (data.train_images.to(device), data.train_labels.to(device)),
        "test": (data.test_images.to(device), data.test_labels.to(device)),
    }
    measured = {
        f"{name}_{part}": variable
        for part, images in parts.items()
        for name, variable in evaluate(networks, images, layers=nn.MaxPool2d).items()
    }
    return xr.Dataset(measured).drop_vars("loss_test")
