"""Experiments: grids of networks over two parameters, the four published ones among them.

An `Experiment` says everything that decides its networks, and nothing about how they are computed
(`sbt_utils.sweeping.sweeps` does that). A network's random numbers follow from the levels of its own cell, so
a cell is the same, bit by bit, in every grid that contains it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from typing import Any

import numpy as np

from sbt_utils.training.ranges import OPTIMIZERS, RANGES, check_range

Level = float | int | str
"""A value of one parameter."""

COUNTS = ("hidden_layers", "width", "batch_size", "epochs")
"""Parameters that are integers of at least 1."""

PARAMETERS = (*RANGES, *COUNTS, "optimizer")
"""The parameters of a network and of its training: any two can be the axes of an experiment."""


@dataclass(frozen=True)
class Experiment:
    """A grid of networks over two parameters, some networks for each cell.

    Every parameter that is not an axis has one value for all; the defaults are the published
    protocol.

    Parameters
    ----------
    axes : mapping of str to sequence
        Two of `PARAMETERS` and their levels.
    seeds : int
        Networks for each cell.
    dataset : str
        A name that `sbt_utils.data.datasets.load_data` knows.
    train : int
        Training images, the same for all networks.
    test : int, optional
        Test images; default all there are.
    size : int
        Pixels of an image's side.
    hidden_layers, width : int
        Of the multilayer perceptron, `sbt_utils.training.networks.MLP`.
    negative_slope, dropout, learning_rate, data_noise, batch_size, epochs, optimizer
        As in `sbt_utils.training.trainer.train`.
    root : int
        Another root gives other random numbers throughout.

    Raises
    ------
    ValueError
        Not two axes, an unknown axis, no levels, repeated levels, a value out of range.

    Examples
    --------
    >>> grid = Experiment({"width": [50, 100], "dropout": [0.0, 0.1, 0.2]}, seeds=4)
    >>> len(grid)
    24
    """

    axes: Mapping[str, Sequence[Level]]
    _: KW_ONLY
    seeds: int = 10
    dataset: str = "mnist"
    train: int = 2560
    test: int | None = None
    size: int = 10
    hidden_layers: int = 7
    width: int = 100
    negative_slope: float = 0.0
    dropout: float = 0.0
    learning_rate: float = 1e-3
    data_noise: float = 0.0
    batch_size: int | None = None
    epochs: int = 100
    optimizer: str = "adam"
    root: int = 0

    def __post_init__(self) -> None:
        if len(self.axes) != 2 or not set(self.axes) <= set(PARAMETERS):
            raise ValueError(
                f"axes={list(self.axes)}: give two different ones of {', '.join(PARAMETERS)}"
            )
        for name in ("seeds", "train", "size", *COUNTS):
            value = getattr(self, name)
            if not (name == "batch_size" and value is None):
                _check_level(name, value)
        for name in (*RANGES, "optimizer"):
            _check_level(name, getattr(self, name))
        axes: dict[str, tuple[Level, ...]] = {}
        for name in self.axes:
            levels = [_plain(level) for level in self.axes[name]]
            if not levels:
                raise ValueError(f"axis {name!r} has no levels: give at least one")
            for level in levels:
                _check_level(name, level)
            # 0 and 0.0 are one level.
            axes[name] = tuple(float(level) if name in RANGES else level for level in levels)
            if repeated := sorted({level for level in axes[name] if axes[name].count(level) > 1}):
                raise ValueError(f"axis {name!r} repeats {repeated}: give each level once")
        object.__setattr__(self, "axes", axes)

    def __len__(self) -> int:
        """Return how many networks there are."""
        return int(np.prod(self.shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Levels of the first axis, of the second, seeds."""
        first, second = self.axes.values()
        return len(first), len(second), self.seeds

    @property
    def dimensions(self) -> tuple[str, str]:
        """Names of the axes in results: ``noise`` and ``slope`` for those of a phase diagram.

        An axis ``epochs`` is called ``max_epochs`` there: a network may stop before.
        """
        first, second = ("max_epochs" if name == "epochs" else name for name in self.axes)
        return ("noise", "slope") if (first, second) in PHASE_DIAGRAMS else (first, second)

    @property
    def configuration(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return asdict(self) | {"axes": {name: list(levels) for name, levels in self.axes.items()}}

    def network(self, number: int) -> dict[str, Any]:
        """Return the parameters of a network.

        Parameters
        ----------
        number : int
            0 to ``len(experiment) - 1``; the seeds of a cell follow one another, then the levels
            of the second axis.

        Returns
        -------
        dict
            Every one of `PARAMETERS`, and ``seed``, an integer below 2**63 made of the root, the
            axes, the levels of the cell and the number of the network in its cell.

        Examples
        --------
        >>> published("dropout").network(959)["dropout"]
        0.3
        """
        *places, seed = (int(place) for place in np.unravel_index(number, self.shape))
        cell = {
            name: levels[place]
            for (name, levels), place in zip(self.axes.items(), places, strict=True)
        }
        own = {name: getattr(self, name) for name in PARAMETERS} | cell
        own["batch_size"] = own["batch_size"] or self.train
        return own | {"seed": network_seed(self.root, list(self.axes), cell, seed)}

    def networks(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of every network in turn."""
        return map(self.network, range(len(self)))


def network_seed(root: int, experiment: Sequence[str], cell: Mapping[str, Level], seed: int) -> int:
    """Return the seed of a network, which depends on nothing but its own place.

    Parameters
    ----------
    root : int
        Another root gives other random numbers throughout.
    experiment : sequence of str
        What tells the experiment from others, its axes.
    cell : mapping of str to level
        The levels of the network's cell.
    seed : int
        The number of the network in its cell.

    Returns
    -------
    int
        Below 2**63.

    Examples
    --------
    >>> axes, cell = ["dropout", "width"], {"dropout": 0.1, "width": 50}
    >>> network_seed(0, axes, cell, 0) == network_seed(0, axes, cell, 1)
    False
    """
    words = [root, _digest(list(experiment)), _digest(dict(cell)), seed]
    (state,) = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return int(state >> np.uint64(1))


SLOPES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_LEARNING_RATES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1)
_NOISES: dict[str, tuple[float, ...]] = {
    "dropout": tuple(round(0.02 * step, 2) for step in range(16)),
    "learning_rate": _LEARNING_RATES,
    "data_noise": tuple(round(0.1 * step, 1) for step in range(9)),
    "batch_size": tuple(5 * 2**step for step in range(10)),
}
_FEW: dict[str, tuple[float, ...]] = {
    "dropout": (0.0, 0.1, 0.2, 0.3),
    "learning_rate": (1e-4, 1e-3, 1e-2, 1e-1),
    "data_noise": (0.0, 0.2, 0.4, 0.8),
    "batch_size": (40, 160, 640, 2560),
}
PHASE_DIAGRAMS = tuple((noise, "negative_slope") for noise in _NOISES)
"""The axes of the published experiments: a source of noise, and the nonlinearity."""


def published(experiment: str, profile: str = "paper", **settings: Any) -> Experiment:
    """Return one of the four published experiments, whole or reduced.

    Parameters
    ----------
    experiment : {"dropout", "learning_rate", "data_noise", "batch_size"}
        By its source of noise; the other axis is the negative slope.
    profile : {"smoke", "quick", "paper"}
        ``paper``: every published cell, 10 seeds (960, 720, 540, 600 networks). ``quick``: 12 of
        these cells, 2 seeds, the same networks. ``smoke``: 4 cells, 1 seed, 5 epochs.
    **settings
        Of `Experiment`, in place of the published ones.

    Returns
    -------
    Experiment

    Raises
    ------
    ValueError
        If there is no such experiment or profile.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353, the phase diagrams.

    Examples
    --------
    >>> sum(len(published(noise)) for noise, _ in PHASE_DIAGRAMS)
    2820
    """
    if experiment not in _NOISES:
        raise ValueError(f"experiment={experiment!r}: choose one of {', '.join(_NOISES)}")
    levels = _FEW[experiment]
    few = {experiment: levels, "negative_slope": (0.0, 0.4, 1.0)}
    ends = {experiment: (levels[0], levels[-1]), "negative_slope": (0.0, 1.0)}
    sizes = {
        "smoke": Experiment(ends, seeds=1, epochs=5),
        "quick": Experiment(few, seeds=2),
        "paper": Experiment({experiment: _NOISES[experiment], "negative_slope": SLOPES}),
    }
    if profile not in sizes:
        raise ValueError(f"profile={profile!r}: choose one of {', '.join(sizes)}")
    chosen = sizes[profile]
    if experiment == "learning_rate" and profile != "smoke":
        chosen = replace(chosen, epochs=200)
    return replace(chosen, **settings)


def _check_level(name: str, value: Any) -> None:
    """Raise unless a parameter may have this value."""
    if name in RANGES:
        check_range(name, value)
    elif name == "optimizer":
        if value not in OPTIMIZERS:
            raise ValueError(f"optimizer={value!r}: choose one of {', '.join(OPTIMIZERS)}")
    elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: give an integer of at least 1")


def _plain(level: Any) -> Level:
    """Return a level as JSON knows it, without NumPy's types."""
    plain: Level = level.item() if isinstance(level, np.generic) else level
    return plain


def _digest(value: Any) -> int:
    """Return 128 bits that stand for a value, the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(value).encode()).digest()[:16])
