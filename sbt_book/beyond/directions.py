"""Which D: the scatter of features along the directions in which the class means differ.

With the thin singular value decomposition B = U S V^T of the weighted, centred class means, the
direction v_k has the between-class variance b_k = s_k^2, and the within-class variance w_k. The
fuzziness of He & Su is the sum of the ratios w_k / b_k; the ratio of the sums, with all of the
within-class variance, is the measure of the paper (``"trace"``).

``python -m sbt_book.beyond.directions`` trains networks of the published diagrams once more, which
hold curves and not features, and writes ``results/directions.nc``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from sbt_book.beyond.voting import by_strength
from sbt_book.common.committed import RESULTS
from sbt_book.common.parts import remove_parts
from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import accuracy
from sbt_utils.sweeping.experiments import SLOPES, published
from sbt_utils.training.networks import MLP
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.trainer import train

LEVELS: dict[str, tuple[float, ...]] = {
    "dropout": (0.1,),
    "data_noise": (0.1, 0.4),
    "learning_rate": (5e-4, 5e-3),
    "batch_size": (160, 640),
}
"""Of each source of noise, the levels whose networks are measured at every slope."""

SEEDS = 2
CONFIGURATION: dict[str, Any] = {"levels": LEVELS, "slopes": SLOPES, "seeds": SEEDS}


def scatter_along_directions(features: np.ndarray, labels: np.ndarray) -> xr.Dataset:
    """Return the scatter of features along the directions of their class means, in float64.

    Parameters
    ----------
    features : ndarray, shape (N, d)
    labels : ndarray of int, shape (N,)
        Classes 0..C-1, each with several samples.

    Returns
    -------
    xarray.Dataset
        ``within`` and ``between`` (direction), w_k and b_k, the largest b_k of C - 1 first;
        ``total``, tr Σw along all directions; ``discriminant`` (direction), the largest
        eigenvalues of Σw^+ Σb, which no invertible linear map of the features changes (Fisher
        1936). Directions in which nothing varies within classes count for none of them.

    Examples
    --------
    >>> features = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [6.0, 1.0]])
    >>> scatter = scatter_along_directions(features, np.array([0, 0, 1, 1]))
    >>> scatter.within.item(), round(scatter.between.item(), 6), scatter.total.item()
    (1.0, 4.0, 1.0)
    """
    features = np.asarray(features, np.float64)
    counts = np.bincount(labels)
    sums = np.zeros((len(counts), features.shape[1]))
    np.add.at(sums, labels, features)
    means, share = sums / counts[:, None], counts / len(labels)
    residuals = features - means[labels]
    factor = np.sqrt(share)[:, None] * (means - share @ means)
    _, scale, directions = np.linalg.svd(factor, full_matrices=False)
    count = min(len(counts) - 1, len(scale))  # C centred means span C - 1 directions
    # In coordinates in which Σw is the unit matrix, the eigenvalues are those of Σb.
    values, vectors = np.linalg.eigh(residuals.T @ residuals / len(features))
    varies = values > values[-1] * 1e-10
    white = factor @ (vectors[:, varies] / np.sqrt(values[varies]))
    discriminants = np.linalg.svd(white, compute_uv=False) ** 2
    of_directions = {
        "within": ((residuals @ directions[:count].T) ** 2).mean(0),
        "between": scale[:count] ** 2,
        "discriminant": np.pad(discriminants, (0, count), constant_values=np.nan)[:count],
    }
    found = xr.Dataset({name: ("direction", values) for name, values in of_directions.items()})
    return found.assign(total=float((residuals**2).sum(1).mean()))


def measures_of(scatter: xr.Dataset) -> xr.Dataset:
    """Return kinds of D (..., layer) of the scatter along directions (..., layer, direction).

    Each is the logarithm of: ``trace``, all within-class variance over the between-class variance;
    ``trace, class directions``, the same without the variance off the directions of the class
    means; ``fuzziness``, the sum of the ratios w_k / b_k; ``fuzziness, 1 direction`` and ``..., 3
    directions``, that of the leading ones; ``least fuzziness``, see `least_fuzziness`.
    """
    ratio = scatter.within / scatter.between
    kinds = {
        "trace": scatter.total / scatter.between.sum("direction"),
        "trace, class directions": scatter.within.sum("direction")
        / scatter.between.sum("direction"),
        "fuzziness, 1 direction": ratio.isel(direction=0),
        "fuzziness, 3 directions": ratio.isel(direction=slice(3)).sum("direction"),
        "fuzziness": ratio.sum("direction"),
    }
    found = xr.Dataset({name: np.log(value) for name, value in kinds.items()})
    found["least fuzziness"] = least_fuzziness(scatter.discriminant)
    return found


def least_fuzziness(discriminant: xr.DataArray) -> xr.DataArray:
    """Return the lowest fuzziness, a logarithm, that linear maps of the features can have.

    In coordinates z with Σw = 1 let M (d, C - 1) hold the class means. Linear features A z have
    the fuzziness |(A M)^+ A|², and G = (A M)^+ A has G M = 1. The shortest such G is M^+, so the
    fuzziness is at least |M^+|², the sum of the reciprocals of the `discriminant` (..., direction).
    """
    total: xr.DataArray = (1 / discriminant).sum("direction", skipna=False)
    return total.copy(data=np.log(total.values))


def diagrams_of(kinds: xr.Dataset) -> dict[tuple[str, str], xr.DataArray]:
    """Return load curves (noise, slope, seed, layer) by kind of D and source, weakest noise first.

    `kinds` (network, layer) is from `measures_of`, of the results of `everything`.
    """
    cell = ["noise", "slope", "seed"]
    found = {}
    for source in LEVELS:
        own = kinds.isel(network=kinds.source.values == source).drop_vars("source")
        whole = own.set_index(network=cell).unstack("network")
        for kind in kinds.data_vars:
            curves = by_strength(source, whole[kind])
            found[str(kind), source] = curves.transpose(*cell, "layer")
    return found


def measured(source: str) -> xr.Dataset:
    """Train the chosen networks of a published diagram; see `everything`."""
    experiment = published(source)
    levels, slopes = experiment.axes.values()
    cells = [
        (level, slope, seed)
        for level in LEVELS[source]
        for slope in SLOPES
        for seed in range(SEEDS)
    ]
    networks = [
        experiment.network(
            (levels.index(level) * len(slopes) + slopes.index(slope)) * experiment.seeds + seed
        )
        for level, slope, seed in cells
    ]
    data = load_data(experiment.dataset, experiment.train)
    images, labels = data.train_images, data.train_labels
    settings: Any = {name: [n[name] for n in networks] for name in (*RANGES, "batch_size")}
    trained = train(
        MLP(),
        (images, labels),
        seeds=[n["seed"] for n in networks],
        epochs=experiment.epochs,
        progress=False,
        **settings,
    )
    parts, accuracies = [], []
    for network in trained.networks:
        layers = [scatter_along_directions(x, labels.numpy()) for x in features_of(network, images)]
        parts.append(xr.concat(layers, "layer"))
        accuracies.append(accuracy(network, images, labels))
    found = xr.concat(parts, "network").astype(np.float32)
    found["accuracy_train"] = "network", accuracies
    level, slope, seed = zip(*cells, strict=True)
    return found.assign_coords(
        source=("network", [source] * len(cells)),
        noise=("network", np.array(level, float)),
        slope=("network", list(slope)),
        seed=("network", list(seed)),
        layer=np.arange(found.sizes["layer"]),
    )


@torch.no_grad()
def features_of(network: nn.Sequential, images: Tensor) -> list[np.ndarray]:
    """Return the features (N, d) of the layers l = 0..L of an `MLP` in evaluation mode."""
    found, x = [], images
    for name, layer in network.named_children():
        x = layer(x)
        if name == "input_norm" or name.startswith("activation"):
            found.append(x.numpy())
    return found


def everything(folder: Path) -> xr.Dataset:
    """Measure the networks of all sources, which are kept in the folder source by source.

    Returns
    -------
    xarray.Dataset
        ``within``, ``between`` and ``discriminant`` (network, layer, direction) and ``total``
        (network, layer) of `scatter_along_directions` on the training images, and
        ``accuracy_train`` (network); the coordinates ``source``, ``noise``, ``slope`` and ``seed``
        (network) say which of the published networks it is.
    """
    parts = []
    for source in tqdm(LEVELS):
        about = {"source": source} | CONFIGURATION
        parts.append(results.kept(folder / f"{source}.nc", about, lambda s=source: measured(s)))  # type: ignore[misc]
    spent = sum(part.attrs["wall_time_seconds"] for part in parts)
    found = xr.concat(parts, "network", combine_attrs="drop").drop_encoding()
    return found.assign_attrs(wall_time_seconds=spent)


if __name__ == "__main__":
    count = sum(map(len, LEVELS.values())) * len(SLOPES) * SEEDS
    print(f"{count} networks, about 4 s of one processor core each")
    parts = RESULTS / "directions.parts"
    results.kept(RESULTS / "directions.nc", CONFIGURATION, lambda: everything(parts))
    remove_parts(parts / f"{source}.nc" for source in LEVELS)
