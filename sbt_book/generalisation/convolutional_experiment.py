"""The published experiment on convolutional networks: load curves and accuracy over dropout.

2,000 epochs of it are hours on a CPU. So it trains in rounds, keeps what each has reached, and
goes on from there when it is called again.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import xarray as xr
from torch import nn
from tqdm.auto import tqdm

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
    network: CNN | None = None,
    learning_rate: float = 1e-4,
    device: str = "cpu",
    progress: bool = True,
) -> xr.Dataset:
    """Train convolutional networks at several dropouts, and measure them again and again.

    Parameters
    ----------
    data : Dataset
        ``load("cifar10")`` as published.
    out : path-like
        A netCDF file. It grows by a checkpoint each round; the networks wait beside it, in a file
        of the same name that ends in ``.pt``, until they are trained to the end.
    dropouts : sequence of float
        p in [0, 1).
    seeds : int
        Networks for each dropout.
    epochs : int
        How many to train, full batch.
    every : int
        Epochs between checkpoints.
    network : CNN, optional
        The architecture; default the published one.
    learning_rate : float
        Of Adam.
    device : str
        ``"cpu"`` or ``"cuda"``.
    progress : bool
        Show a bar over the epochs.

    Returns
    -------
    xarray.Dataset
        ``separation_train``, ``separation_test`` (noise, seed, checkpoint, layer), measure "trace"
        after the pooling; ``accuracy_train``, ``accuracy_test``, fractions, and ``loss_train``
        (noise, seed, checkpoint). The coordinate ``checkpoint`` counts epochs.

    Raises
    ------
    ValueError
        If `out` holds the results of other settings, or as `sbt_utils.training.trainer.train`.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Examples
    --------
    >>> import tempfile
    >>> from sbt_utils.data.datasets import load_data
    >>> digits, small = load_data("mnist", train=100, test=50), CNN(1, channels=2, hidden_layers=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     grown = dropout_in_rounds(digits, f"{folder}/cnn.nc", dropouts=[0, 0.1], seeds=1,
    ...                               epochs=4, every=2, network=small, progress=False)
    >>> grown.separation_test.shape
    (2, 1, 2, 3)
    """
    path, network = Path(out), network or CNN(classes=data.classes)
    waiting = path.with_suffix(".pt")
    configuration = {
        "data": data.source,
        "train": len(data.train_images),
        "test": len(data.test_images),
        "network": str(network),
        "dropouts": list(dropouts),
        "seeds": seeds,
        "every": every,
        "learning_rate": learning_rate,
        "optimizer": "adam",
        "device": device,
    }
    found = results.load(path) if path.exists() else None
    if found is not None and json.loads(found.attrs["configuration"]) != configuration:
        raise ValueError(f"out={path} was made with other settings: give another name")
    reached = 0 if found is None else int(found.checkpoint[-1])
    if 0 < reached < epochs and not waiting.exists():
        raise ValueError(
            f"out={path} ends at epoch {reached} and its networks, {waiting}, are not there to go "
            "on with: give another name to start anew"
        )
    state = torch.load(waiting, weights_only=True) if 0 < reached < epochs else None
    cells = [(float(p), seed) for p in dropouts for seed in range(seeds)]
    members = [network_seed(0, ["dropout", "CNN"], {"dropout": p}, seed) for p, seed in cells]
    with tqdm(total=epochs, initial=reached, unit="epoch", disable=not progress) as bar:
        while reached < epochs:
            start, stop = time.time(), min(reached + every, epochs)
            trained = train(
                network,
                data.train_images,
                data.train_labels,
                seeds=members,
                dropout=[p for p, _ in cells],
                learning_rate=learning_rate,
                epochs=stop,
                resume=state,
                device=device,
                progress=False,
            )
            state = trained.state
            measured = _measure(list(trained.networks), data)
            measured = measured.assign_coords(
                noise=("member", [p for p, _ in cells]), seed=("member", [s for _, s in cells])
            )
            measured = measured.set_index(member=["noise", "seed"]).unstack("member")
            measured = measured.expand_dims(checkpoint=[stop])
            grown = measured if found is None else xr.concat([found, measured], "checkpoint")
            before = 0.0 if found is None else found.attrs["wall_time_seconds"]
            # The networks first: should the results not follow, they are only measured again.
            with results.whole_file(waiting) as temporary:
                torch.save(state, temporary)
            wall_time = before + time.time() - start
            found = results.load(results.save(grown, path, configuration, wall_time))
            bar.update(stop - reached)
            reached = stop
    assert found is not None
    dimensions = ("noise", "seed", "checkpoint", "layer")
    return found.transpose(*dimensions)


def _measure(networks: list[nn.Sequential], data: Dataset) -> xr.Dataset:
    """Return the load curves, accuracies and losses of networks, over member and layer."""
    parts = {
        "train": (data.train_images, data.train_labels),
        "test": (data.test_images, data.test_labels),
    }
    measured = {
        f"{name}_{part}": variable
        for part, images in parts.items()
        for name, variable in evaluate(networks, *images, layers=nn.MaxPool2d).items()
    }
    return xr.Dataset(measured).drop_vars("loss_test")
