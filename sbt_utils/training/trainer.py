"""Training: an ensemble of networks by the published protocol, each with its own settings.

The protocol is that of Shi, Pan & Dokmanić, Phys. Rev. Lett. (2025), arXiv:2407.19353.
Every argument that describes a member may be one value or a sequence of values; sequences must
have the same length, one entry for each member. What a member becomes depends on its own settings
alone: it is bit-for-bit identical on a CPU whether trained alone, with others, or in other chunks.

On a GPU nothing is computed in TF32, whatever PyTorch is set to. The last digits depend on the
others, as cuBLAS chooses other kernels for other sizes. They are the same from run to run but for
layers that are left to PyTorch there (`sbt_utils.ensembles.convolution_layers`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import initial_state, member_network
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.measuring.evaluation import evaluate, in_single_threads, separation_or_nan
from sbt_utils.measuring.stacked import Stack
from sbt_utils.models.batches import Data, whole_arrays
from sbt_utils.models.layer_choice import Layers
from sbt_utils.text import quoted
from sbt_utils.threads import single_products
from sbt_utils.training.chunks import divided, in_turn
from sbt_utils.training.descent import Job, concatenate, select, train_chunk
from sbt_utils.training.progress import progress_bar
from sbt_utils.training.ranges import OPTIMIZERS, RANGES, check_counts
from sbt_utils.training.readings import Readings, Record
from sbt_utils.training.settings import check_batch_sizes, check_data, check_device, member_settings
from sbt_utils.training.steps import TrainingData


@dataclass(frozen=True)
class Training:
    """Trained networks and how they got there.

    Attributes
    ----------
    history : xarray.Dataset
        ``loss`` and ``accuracy`` (member, epoch), of the training batches as trained (with noise
        and dropout), nan after a member has stopped; ``epochs`` (member), epochs trained; with
        `separation_every`, ``separation`` (member, probe_epoch, layer), of the training images.
        The members' settings are coordinates; where readings changed them, those at the end.
    state : dict
        Everything needed to continue: pass it as `resume`. It holds tensors and plain numbers only,
        so ``torch.load(path, weights_only=True)`` reads what ``torch.save`` wrote.
    """

    history: xr.Dataset
    state: dict[str, Any] = field(repr=False)
    _architecture: nn.Sequential = field(repr=False)

    def network(self, member: int) -> nn.Sequential:
        """Return the member of this index as a plain PyTorch network in evaluation mode."""
        names = "negative_slope", "dropout"
        slope, dropout = (self.history[name].values[member] for name in names)
        return member_network(self._architecture, self.state["networks"], member, slope, dropout)

    @property
    def networks(self) -> Iterator[nn.Sequential]:
        """All members in order, as plain PyTorch networks in evaluation mode."""
        return map(self.network, range(self.history.sizes["member"]))


def train(
    network: nn.Sequential,
    data: Data,
    labels: ArrayLike | Tensor | None = None,
    *,
    seeds: int | Sequence[int] = 0,
    negative_slope: ArrayLike | None = None,
    dropout: ArrayLike | None = None,
    learning_rate: ArrayLike = 1e-3,
    data_noise: ArrayLike = 0.0,
    weight_noise: ArrayLike = 0.0,
    batch_size: ArrayLike | None = None,
    epochs: int = 100,
    optimizer: str = "adam",
    separation_every: int | None = None,
    layers: Layers | None = None,
    readings: Readings | None = None,
    device: str | torch.device = "cpu",
    resume: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Training:
    """Train an ensemble of networks; the defaults are the published protocol.

    Cross-entropy; full batch unless `batch_size` is given. A member stops before `epochs` when
    its epoch loss is below 1e-4 or changes by less than 1e-10 (`sbt_utils.training.descent`).

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture, on the CPU, made of stock layers that ensembles know (an error lists
        them). Left as it is: each member starts from the
        default initialisation drawn from its own seed. All parameters are trained: one with
        ``requires_grad=False``, or shared by two layers, is an error.
    data : tuple (inputs, labels), loader of such batches, or inputs
        Training images (N, ...), floating point. A loader is read whole, once.
    labels : Tensor or ndarray of int, shape (N,), optional
        Classes 0..C-1, where `data` holds the images alone.
    seeds : int or sequence of int
        Below 2^63. It decides a member's weights, order of images, dropout and noise.
    negative_slope, dropout : float or sequence of float, optional
        α of the leaky ReLUs, in [0, 1], and p in [0, 1). Default: the network's own.
    learning_rate : float or sequence of float, positive
    data_noise : float or sequence of float
        In [0, 1], anew at every step: this fraction of the labels is redrawn uniformly over all
        classes, and Gaussian noise of this many standard deviations of the images is added to them.
    weight_noise : float or sequence of float
        σ in [0, 1]. After every step, independent Gaussian noise is added to each weight of the
        linear and convolutional layers, of σ times the standard deviation 1 / sqrt(3 d) that
        weights of d inputs start with. With plain gradient descent of rate η this is stochastic
        gradient Langevin dynamics (Welling & Teh, ICML 2011) at the temperature σ² / (6 d η).
    batch_size : int or sequence of int, optional
        Images in a step; default all. An epoch's last step takes what is left.
    epochs : int
        How many to train, counted from the start of training also when resuming.
    optimizer : {"adam", "sgd", "momentum"}
    separation_every : int, optional
        Measure the data separation D_l of the training images every so many epochs.
    layers : optional
        What to measure, as in `sbt_utils.measuring.evaluation.evaluate`.
    readings : Readings, optional
        What else to read, which may change settings from the next epoch on, as
        `sbt_utils.training.steering.steer` does; instead of `separation_every`.
    device : str or torch.device
        ``"cpu"`` (chunks of members on as many threads as PyTorch uses) or ``"cuda"``, where a
        chunk too large for the memory is divided, with a warning.
    resume : dict, optional
        The `state` of an earlier training of the same ensemble; other settings may change.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the others.
    MemoryError
        If not even one network fits into the memory of a GPU.

    Examples
    --------
    >>> import sbt_utils as sbt
    >>> digits = sbt.load_data("mnist", train=100)
    >>> trained = sbt.train(sbt.MLP(hidden_layers=2), (digits.train_images, digits.train_labels),
    ...                     seeds=range(3), dropout=[0.0, 0.1, 0.2], epochs=2, progress=False)
    >>> trained.history.loss.shape
    (3, 2)
    """
    images, labels = whole_arrays(data, labels)
    width = check_data(network, images, labels)
    members = member_settings(
        network,
        seed=seeds,
        negative_slope=negative_slope,
        dropout=dropout,
        learning_rate=learning_rate,
        data_noise=data_noise,
        weight_noise=weight_noise,
        batch_size=len(images) if batch_size is None else batch_size,
    )
    check_batch_sizes(network, len(images), members["batch_size"])
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer={quoted(optimizer)}: choose one of {', '.join(OPTIMIZERS)}")
    check_counts(epochs=epochs)
    if separation_every is not None:
        check_counts(separation_every=separation_every)
    if not isinstance(readings, Readings | None):
        raise TypeError(f"readings: {type(readings).__name__} given; give Readings")
    if separation_every and readings:
        raise ValueError("separation_every, readings: give one of the two")
    device = check_device(device)
    words = np.stack([seed_words(seed) for seed in members["seed"]])
    if resume is None:
        state = _fresh(network, members["seed"], words[:, 0])
    else:
        state = _resumed(resume, network, members["seed"], optimizer)
    state["settings"] = {name: torch.from_numpy(members[name]) for name in RANGES}
    going = np.flatnonzero(~state["stopped"].numpy())
    start = int(state["epochs"][going].min()) if len(going) else epochs
    going = going if start < epochs else going[:0]

    on_device = images.to(device), labels.to(device, torch.int64)

    def measure(network: nn.Sequential, dropout: float) -> np.ndarray:
        return separation_or_nan(network, images, labels, layers=layers)

    def measure_together(networks: Stack, dropout: np.ndarray) -> np.ndarray:
        return evaluate(networks, on_device, layers=layers).separation.values

    record = Record(network, measure, measure_together, layers)
    if readings is None:
        every = range(0, epochs + 1, separation_every) if separation_every else ()
        readings = Readings(tuple(every), record.take)
    # What an earlier training has read is not read again.
    due = tuple(epoch for epoch in readings.epochs if epoch > start or epoch == 0 == start)
    job = Job(
        network,
        TrainingData(*on_device, float(images.std()), int(labels.max()) + 1),
        range(start, epochs),
        optimizer,
        replace(readings, epochs=due),
    )
    chunks = divided(going, members["batch_size"], width, device)
    with progress_bar(progress, total=len(going) * len(job.epochs), unit="epoch") as bar:
        settings = members | {"word": words[:, 1], "member": np.arange(len(words))}

        def train_members(chunk: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
            return train_chunk(job, select(settings, chunk), select(state, chunk), bar.update)

        if device == "cpu":
            with single_products():
                outcomes = in_single_threads(train_members, chunks)
        else:
            chunks, outcomes = in_turn(
                train_members, chunks, members["batch_size"], job.data.images.device
            )
    losses, accuracies = np.full((2, len(words), len(job.epochs)), np.nan)
    for chunk, (_, recorded) in zip(chunks, outcomes, strict=True):
        losses[chunk], accuracies[chunk] = recorded
    # Those that had stopped before are as they were.
    idle = np.setdiff1d(np.arange(len(words)), going)
    states = [trained for trained, _ in outcomes] + ([select(state, idle)] if len(idle) else [])
    state = select(concatenate(states), np.argsort(np.concatenate([*chunks, idle])))
    members |= {name: values.numpy() for name, values in state.pop("settings").items()}
    dims = ("member", "epoch")
    history = xr.Dataset(
        {
            "loss": (dims, losses, {"long_name": "cross-entropy of the training batches"}),
            "accuracy": (dims, accuracies, {"long_name": "accuracy on the training batches"}),
        },
        {"epoch": np.array(job.epochs, dtype=np.int64) + 1},
    )
    if record.values:
        history["separation"] = _separation(record.values, len(words))
    history["epochs"] = ("member", state["epochs"].numpy(), {"long_name": "epochs trained"})
    history = history.assign_coords({name: ("member", array) for name, array in members.items()})
    return Training(history, state | {"algorithm": optimizer}, network)


def _separation(curves: dict[tuple[int, int], np.ndarray], count: int) -> xr.DataArray:
    """Return D (member, probe_epoch, layer) of `count` members, nan where one had stopped."""
    epochs = sorted({epoch for epoch, _ in curves})
    values = np.full((count, len(epochs), len(next(iter(curves.values())))), np.nan)
    for (epoch, member), curve in curves.items():
        values[member, epochs.index(epoch)] = curve
    attributes = {"long_name": "data separation D of the training images"}
    dims = ("member", "probe_epoch", "layer")
    return xr.DataArray(values, {"probe_epoch": epochs}, dims, attrs=attributes)


_STATE = ("seed", "networks", "optimizer", "epochs", "loss", "stopped")


def _fresh(network: nn.Sequential, seeds: np.ndarray, words: np.ndarray) -> dict[str, Any]:
    """Return the members' state before training."""
    count = len(words)
    return {
        "seed": torch.from_numpy(seeds),
        "networks": initial_state(network, words),
        "optimizer": {},
        "epochs": torch.zeros(count, dtype=torch.int64),
        "loss": torch.full((count,), torch.nan, dtype=torch.float64),
        "stopped": torch.zeros(count, dtype=torch.bool),
    }


def _resumed(
    state: Mapping[str, Any], network: nn.Sequential, seeds: np.ndarray, optimizer: str
) -> dict[str, Any]:
    """Return the members' state to resume from; raise if it belongs to another training."""
    try:
        members = {name: state[name] for name in _STATE}
        found = {name: tensor.shape[1:] for name, tensor in members["networks"].items()}
        given = members["seed"].tolist(), state["algorithm"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume={type(state).__name__} is not a training's state ({quoted(error)}): give "
            "Training.state, or what torch.load read of it"
        ) from None
    if found != {name: tensor.shape for name, tensor in network.state_dict().items()}:
        raise ValueError("resume holds networks of another architecture: give this network's")
    if given != (seeds.tolist(), optimizer):
        raise ValueError(
            f"resume holds seeds {quoted(given[0])} trained with {quoted(given[1])}, not seeds "
            f"{quoted(seeds.tolist())} and {quoted(optimizer)}: give the same again"
        )
    return members
