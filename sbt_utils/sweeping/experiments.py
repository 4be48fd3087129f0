"""Experiments: grids of networks over two parameters. Nothing here loads PyTorch."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

import numpy as np

from sbt_utils.data.downloads import NAMES
from sbt_utils.numbers import as_levels
from sbt_utils.text import quoted
from sbt_utils.training.ranges import OPTIMIZERS, RANGES, check_counts, check_number

Level = float | int | str
"""A value of one parameter."""

COUNTS = ("hidden_layers", "width", "batch_size", "epochs")
"""Parameters that are integers of at least 1."""

PARAMETERS = (*RANGES, *COUNTS, "optimizer")
"""The parameters of a network and of its training; any two can be the axes of an experiment."""

MOST_NETWORKS = 1_000_000
"""Networks in an experiment, at most: more is a slip of the keyboard, and fills the memory."""


@dataclass(frozen=True)
class Experiment:
    """A grid over two parameters, with several networks in each cell.

    Every parameter that is not an axis has one value for all networks; the defaults are the
    published protocol. The experiment holds everything that determines its networks, and nothing
    about how they are computed: see `sbt_utils.sweeping.sweeps`.

    Parameters
    ----------
    axes : mapping of str to sequence
        Two of `PARAMETERS`, each with its levels.
    seeds : int
        Networks in each cell.
    dataset, size
        One of `sbt_utils.data.downloads.NAMES`; height and width of its images in pixels.
    train, test : int
        Numbers of training images, the same ones for all networks, and of test images, default all.
    hidden_layers, width : int
        Of the multilayer perceptron, `sbt_utils.training.networks.MLP`.
    negative_slope, dropout, learning_rate, data_noise, weight_noise, batch_size, epochs, optimizer
        As in `sbt_utils.training.trainer.train`.
    root : int
        Changes all random numbers.

    Raises
    ------
    ValueError
        If there are not two known axes, or levels are missing, repeated or out of range.

    Examples
    --------
    >>> len(Experiment({"width": [50, 100], "dropout": [0.0, 0.1, 0.2]}, seeds=4))
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
    weight_noise: float = 0.0
    batch_size: int | None = None
    epochs: int = 100
    optimizer: str = "adam"
    root: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.axes, Mapping):
            raise ValueError(f"axes={quoted(self.axes)}: give a mapping of two names to levels")
        if len(self.axes) != 2 or not set(self.axes) <= set(PARAMETERS):
            raise ValueError(
                f"axes={quoted(list(self.axes))}: give two different ones of "
                f"{', '.join(PARAMETERS)}"
            )
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # JSON does not know NumPy's types
                object.__setattr__(self, name, value.item())
        for name in ("seeds", "train", "test", "size", *PARAMETERS):
            if name not in ("batch_size", "test") or getattr(self, name) is not None:
                _check_level(name, getattr(self, name))
        if not isinstance(self.dataset, str) or self.dataset not in NAMES:
            raise ValueError(f"dataset={quoted(self.dataset)}: choose one of {', '.join(NAMES)}")
        if not isinstance(self.root, int) or isinstance(self.root, bool) or self.root < 0:
            raise ValueError(f"root={quoted(self.root)}: give an integer of at least 0")
        axes: dict[str, tuple[Level, ...]] = {}
        for name in self.axes:
            given = as_levels(f"axis {name!r}", self.axes[name])
            levels = [x.item() if isinstance(x, np.generic) else x for x in given]
            for level in levels:
                _check_level(name, level)
            # The integer 0 and 0.0 are one level and must give one seed.
            axes[name] = tuple(float(level) if name in RANGES else level for level in levels)
            if repeated := sorted(level for level, n in Counter(axes[name]).items() if n > 1):
                raise ValueError(f"axis {name!r} repeats {quoted(repeated)}: give each level once")
        object.__setattr__(self, "axes", axes)
        if math.prod(self.shape) > MOST_NETWORKS:
            raise ValueError(
                f"seeds={self.seeds}: makes {math.prod(self.shape)} networks; ask for "
                f"{MOST_NETWORKS} or fewer"
            )

    def __len__(self) -> int:
        """Return the number of networks."""
        return int(np.prod(self.shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of levels of the first axis, of levels of the second, and of seeds."""
        first, second = self.axes.values()
        return len(first), len(second), self.seeds

    @property
    def dimensions(self) -> tuple[str, str]:
        """Names of the axes in results; those of a phase diagram are ``noise`` and ``slope``.

        An axis ``epochs`` becomes ``max_epochs``, because a network may stop earlier.
        """
        first, second = ("max_epochs" if name == "epochs" else name for name in self.axes)
        return ("noise", "slope") if (first, second) in PHASE_DIAGRAMS else (first, second)

    @property
    def configuration(self) -> dict[str, Any]:
        """All arguments, in types that JSON can hold."""
        return asdict(self) | {"axes": {name: list(levels) for name, levels in self.axes.items()}}

    def network(self, number: int) -> dict[str, Any]:
        """Return every one of `PARAMETERS` and the ``seed`` (see `network_seed`) of one network.

        Its number is in 0 to ``len(experiment) - 1``: seeds vary fastest, then the second axis.

        Examples
        --------
        >>> published("dropout").network(959)["dropout"]
        0.3
        """
        *indices, seed = (int(index) for index in np.unravel_index(number, self.shape))
        cell = {name: self.axes[name][i] for name, i in zip(self.axes, indices, strict=True)}
        parameters = {name: getattr(self, name) for name in PARAMETERS} | cell
        parameters["batch_size"] = parameters["batch_size"] or self.train
        return parameters | {"seed": network_seed(self.root, list(self.axes), cell, seed)}


def network_seed(root: int, experiment: Sequence[str], cell: Mapping[str, Level], seed: int) -> int:
    """Return the seed of a network, below 2**63.

    It depends on the network's cell and its number there alone, so that a cell has the same
    networks in every grid that contains it.

    Parameters
    ----------
    root, seed : int
        What changes all seeds, and the number of the network within its cell.
    experiment : sequence of str
        The names of the axes, or other words that identify the experiment.
    cell : mapping of str to level
        The levels of the network's cell.

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
_NOISES: dict[str, tuple[float, ...]] = {
    "dropout": tuple(round(0.02 * step, 2) for step in range(16)),
    "learning_rate": (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1),
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
"""The axes of the published experiments: a source of noise and the negative slope."""


def published(experiment: str, profile: str = "paper", **settings: Any) -> Experiment:
    """Return one of the four published experiments, in full or reduced.

    They are the phase diagrams of Shi, Pan & Dokmanić, Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Parameters
    ----------
    experiment : {"dropout", "learning_rate", "data_noise", "batch_size"}
        Its source of noise; the other axis is the negative slope.
    profile : {"smoke", "quick", "paper"}
        ``paper``: every published cell with 10 seeds (960, 720, 540 and 600 networks). ``quick``:
        12 of these cells with 2 of their seeds. ``smoke``: 4 cells, 1 seed, 5 epochs.
    **settings
        Arguments of `Experiment`, in place of the published ones.

    Examples
    --------
    >>> sum(len(published(noise)) for noise, _ in PHASE_DIAGRAMS)
    2820
    """
    if not isinstance(experiment, str) or experiment not in _NOISES:
        raise ValueError(f"experiment={quoted(experiment)}: choose one of {', '.join(_NOISES)}")
    few = _FEW[experiment]
    epochs = 200 if experiment == "learning_rate" else 100
    grids: dict[str, tuple[Sequence[float], Sequence[float], dict[str, int]]] = {
        "smoke": (few[::3], (0.0, 1.0), {"seeds": 1, "epochs": 5}),
        "quick": (few, (0.0, 0.4, 1.0), {"seeds": 2, "epochs": epochs}),
        "paper": (_NOISES[experiment], SLOPES, {"epochs": epochs}),
    }
    if not isinstance(profile, str) or profile not in grids:
        raise ValueError(f"profile={quoted(profile)}: choose one of {', '.join(grids)}")
    levels, slopes, sizes = grids[profile]
    axes = {experiment: levels, "negative_slope": slopes}
    return Experiment(**{"axes": axes, **sizes, **settings})


def _check_level(name: str, value: Any) -> None:
    """Raise ValueError unless a parameter may have this value."""
    if name in RANGES:
        check_number(name, value)
    elif name == "optimizer":
        if not isinstance(value, str) or value not in OPTIMIZERS:
            raise ValueError(f"optimizer={quoted(value)}: choose one of {', '.join(OPTIMIZERS)}")
    else:
        check_counts(**{name: value})


def _digest(value: Any) -> int:
    """Return a 128-bit hash that is the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(value).encode()).digest()[:16])
