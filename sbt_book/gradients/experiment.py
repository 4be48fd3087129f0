"""What reaches the layers: loss gradients and kicks of networks of the four published diagrams.

Written down before any of it was measured.

**Whose noise is skewed?** The chain's symmetric noise straightens load curves and leaves F*; skewed
noise bends them on (`sbt_book.gradients.skewness`), towards active if rare large kicks go towards
the pull. A kick is what a step of training does to D_l by the layer's own weights
(`sbt_book.gradients.kicks`), positive where it lowers D_l, because that is the coordinate of the
chain's block, x_l = D_0 - D_l. For dropout, data noise and batch size, networks stand still and
steps draw their noise. At a large learning rate nothing is drawn: the steps differ because the
weights move, so these kicks are those of steps in succession, less a straight line in time.

- Prediction: where noise has made networks active (convexity above 0.05), kicks are skewed
  towards the pull; over the cells, skewness and convexity rise together; and -F*/μ of the measured
  kicks, with friction as large as their standard deviation, times the convexity that friction
  alone leaves (that of the row's least noise, where it is negative) is the convexity that is left.
- Criterion: of the active cells of the rows that begin lazy, the predicted convexity is half of the
  measured one or more (mean over the cells): skewness can be the road. If the 95 % interval of
  that share lies below a half, it is not the main road; if it holds 0, skewness plays no part that
  is seen here. For the signs: Spearman's correlation of skewness and convexity over the cells of a
  source, above 95 % of permutations of the cells.
- Null: the kicks with random signs. By -μ <= F* <= μ no skewness of any noise makes a row more
  convex than it was concave: what exceeds that needs something else, whatever is measured here.

**How much of the loss gradient reaches a layer?** The driven chain has a spring κ from every block
to the pulled end; κ, in units of k, is fitted to the load curve of each cell.

- Prediction: κ follows the share of the gradient that reaches the layers before the last: the mean
  over l = 1..L-1 of g_l/g_L, with g_l from ``layer_gradients``, averaged
  (geometrically) over an early, a middle and the last epoch; and it is large for linear networks.
- Criterion: Spearman's correlation over the cells of a source above 95 % of permutations, in three
  of the four sources at least; and above 95 % of permutations within the rows (of one slope), all
  sources taken together: otherwise the slope alone, which both may follow, would do. The share is
  larger at slope 1 than at 0 (interval over the seeds) at every level of noise.
- Null: permutations of the cells, and the slope α itself in place of the share.

Two seeds a cell, no ten: every number comes with its interval, by the bootstrap over cells.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.signal import detrend
from scipy.stats import skew
from torch import Tensor
from tqdm.auto import tqdm

from sbt_book.common.selections import convexity
from sbt_book.gradients.kicks import (
    adam_directions,
    as_arguments,
    drawn_kicks,
    layer_gradients,
    row_sizes,
    successive_kicks,
)
from sbt_book.gradients.skewness import by_chance, force_left
from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import published
from sbt_utils.training.networks import MLP
from sbt_utils.training.settings import Members
from sbt_utils.training.steps import TrainingData
from sbt_utils.training.trainer import Training, train

LEVELS = {
    "dropout": (0.0, 0.08, 0.16, 0.28),
    "learning_rate": (1e-4, 1e-3, 1e-2, 1e-1),
    "data_noise": (0.0, 0.2, 0.4, 0.7),
    "batch_size": (1280, 320, 80, 20),
}
"""Of each source of noise, levels of the published panel, from the least noise on."""

SLOPES = (0.0, 0.4, 1.0)
SEEDS = 2
STAGES = (0.1, 0.5, 1.0)
"""When gradients and curves are measured, in parts of the epochs that networks train for."""

DRAWS = 48
"""Steps whose kicks are taken of a network at the end of its training, at least."""

FRICTION = 1.0
"""μ of F*, in standard deviations of the kicks."""

RUN = 8
"""Steps in succession that keep one sign where kicks are symmetrised in time."""

CONFIGURATION: dict[str, Any] = {
    "levels": LEVELS,
    "slopes": SLOPES,
    "seeds": SEEDS,
    "stages": STAGES,
    "draws": DRAWS,
    "friction": FRICTION,
    "run": RUN,
}
"""What a file of results says of how it came about."""


def everything(folder: Path) -> xr.Dataset:
    """Train and measure 96 networks, in a quarter of an hour on one processor core.

    Parameters
    ----------
    folder : Path
        Keeps a file for each level of noise that is finished; those are not computed again.

    Returns
    -------
    xarray.Dataset
        Along ``source``, ``level`` (from the least noise; ``noise`` (source, level) says which),
        ``slope`` and ``seed``: what `arriving` and `kicked` return.
    """
    parts = [(source, level) for source, levels in LEVELS.items() for level in levels]
    found = [one_level(folder, *part) for part in tqdm(parts, unit="level")]
    count = len(next(iter(LEVELS.values())))
    sources = [
        xr.concat(found[first : first + count], "level", combine_attrs="drop")
        for first in range(0, len(found), count)
    ]
    joined = xr.concat(sources, "source", combine_attrs="drop")
    noise = ("source", "level"), [[float(level) for level in levels] for levels in LEVELS.values()]
    return joined.assign_coords(source=list(LEVELS), noise=noise)


def one_level(folder: Path, source: str, level: float) -> xr.Dataset:
    """Return what was measured at one level of noise, from its file or by training."""
    settings = CONFIGURATION | {"levels": {source: [level]}}
    compute = partial(trained_and_measured, source, level)
    return results.kept(folder / f"gradients_{source}_{level:g}.nc", settings, compute)


def trained_and_measured(source: str, level: float, **changed: Any) -> xr.Dataset:
    """Train the networks of one level, published but for what is `changed`, and measure them."""
    axes = {source: (level,), "negative_slope": SLOPES}
    asked: dict[str, Any] = {"axes": axes, "seeds": SEEDS} | changed
    grid = published(source, **asked)
    members = [grid.network(number) for number in range(len(grid))]
    names = ("seed", "negative_slope", "dropout", "learning_rate", "data_noise", "batch_size")
    settings = {name: np.array([member[name] for member in members]) for name in names}
    dataset = load_data("mnist", train=grid.train, size=grid.size)
    images, labels = dataset.train_images, dataset.train_labels
    data = TrainingData(images, labels, float(images.std()), int(labels.max()) + 1)
    network, stages = MLP(), []
    state: dict[str, Any] | None = None
    for stage in STAGES:
        training = train(
            network,
            images,
            labels,
            epochs=round(stage * grid.epochs),
            resume=state,
            progress=False,
            **as_arguments(settings),
        )
        state = training.state
        reached, directions = arriving(training, data)
        stages.append(reached)
    rows = adam_directions(training.state, directions, row_sizes(network))
    found = xr.concat(stages, "stage").assign_coords(stage=list(STAGES))
    found = found.merge(kicked(network, training, data, settings, rows, source))
    index = {"slope": ("member", settings["negative_slope"])}
    index["seed"] = "member", np.arange(len(members)) % grid.seeds
    return found.assign_coords(index).set_index(member=["slope", "seed"]).unstack("member")


def arriving(training: Training, data: TrainingData) -> tuple[xr.Dataset, list[list[Tensor]]]:
    """Measure networks as they are: ``convexity`` (member) and ``gradient`` (member, layer).

    See ``layer_gradients``, also for what comes beside them.
    """
    members = list(training.networks)
    found = [layer_gradients(member, data.images, data.labels) for member in members]
    curves = evaluate(members, (data.images, data.labels)).separation
    gradients = np.array([gradient for gradient, _ in found])
    values = {
        "convexity": ("member", convexity(curves).values),
        "gradient": (("member", "layer"), gradients),
    }
    layers = {"layer": range(1, gradients.shape[1] + 1)}
    return xr.Dataset(values, layers), [directions for _, directions in found]


def kicked(
    network: MLP,
    training: Training,
    data: TrainingData,
    settings: Members,
    directions: Tensor,
    source: str,
) -> xr.Dataset:
    """Measure the kicks of networks as they are.

    Returns (member, layer), in units of D per unit of the learning rate, ``pull``, their mean, and
    ``kick``, their standard deviation; ``skewness``; and ``force``, F*/μ. ``skewness_chance`` and
    ``force_chance`` (member) are standard deviations of the means over the layers, of symmetrised
    kicks. Where a source has no noise, nan.
    """
    if source == "learning_rate":
        pair = data.images, data.labels
        kicks = successive_kicks(network, training.state, pair, directions, settings, DRAWS)
        noise, run = detrend(kicks, axis=0), RUN
    else:
        kicks = drawn_kicks(network, training.state, data, directions, settings, DRAWS)
        noise, run = kicks - kicks.mean(0), 1
    spread = noise.std(0)
    still = spread <= 1e-5 * abs(kicks).max(0)  # the same step again, but for rounding
    noise = np.where(still, np.nan, noise)
    rng = np.random.default_rng(0)
    chance = np.array([by_chance(member, FRICTION, rng, run) for member in noise.swapaxes(0, 1)])
    layers = ("member", "layer")
    return xr.Dataset(
        {
            "pull": (layers, kicks.mean(0)),
            "kick": (layers, np.where(still, 0.0, spread)),
            "skewness": (layers, skew(noise)),
            "force": (layers, force_left(noise, FRICTION)),
            "skewness_chance": ("member", chance[:, 0]),
            "force_chance": ("member", chance[:, 1]),
        }
    )


def main() -> None:
    """Measure what reaches the layers; `results/gradients.nc` is made by this."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="keeps what is finished, and the results")
    folder = parser.parse_args().folder
    print("96 networks, about 15 minutes on one processor core")
    found = everything(folder)
    parts = list(folder.glob("gradients_*_*.nc"))
    seconds = sum(results.load(part).attrs["wall_time_seconds"] for part in parts)
    for name, values in found.items():
        found[name] = values.astype("float32")
        found[name].encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    results.save(found, folder / "gradients.nc", CONFIGURATION, seconds)


if __name__ == "__main__":
    main()
