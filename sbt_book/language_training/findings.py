"""What the small language models show, in numbers: the predictions of chapter 11 and their nulls.

`found` is always what ``sbt_book.language_training.experiment.everything`` returns.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import mean_interval, spearman
from sbt_book.language_training.settings import BASE, DEPTHS, DROPOUTS, RATES, SETTINGS
from sbt_utils.measuring.curves import curve_statistics

CURVES = {"whole": 0, "from block 1": 1}
"""The first layer of a curve: the embedding, or the first block."""

ALIKE = (*DROPOUTS, "rate 0.001", "rate 0.004", "scaled")
"""The settings of six blocks that nobody steers."""

Interval = tuple[float, float, float]


def curves_of(found: xr.Dataset, setting: str, part: str = "training") -> np.ndarray:
    """Return the load curves (seed, reading, layer) of a setting, as long as it is deep."""
    curves = found.separation.sel(setting=setting, part=part)
    deep = slice(SETTINGS[setting].depth + 1)
    return curves.isel(layer=deep).transpose("seed", "reading", "layer").values.astype(float)


def shape_of(
    found: xr.Dataset, name: str = "convexity", curve: str = "whole", part: str = "training"
) -> xr.DataArray:
    """Return a statistic of the load curves (setting, seed, reading); nan where they do not fall.

    `name` is one of `sbt_utils.measuring.curves.curve_statistics`, `curve` a key of `CURVES`.
    """
    shapes = [
        curve_statistics(curves_of(found, setting, part)[..., CURVES[curve] :], name)
        for setting in found.setting.values.tolist()
    ]
    places = {name: found[name] for name in ("setting", "seed", "reading")}
    return xr.DataArray(np.stack(shapes), places, ("setting", "seed", "reading"))


def at_training_loss(
    found: xr.Dataset, settings: Sequence[str], values: xr.DataArray
) -> xr.DataArray:
    """Return values (setting, seed, reading) where the settings' training losses are equal.

    They are equal to the highest, among the settings, of the lowest that each reaches, in each
    seed; between two readings values follow a straight line. Returns (setting, seed).
    """
    losses = found.loss.sel(part="training", setting=list(settings))
    losses = losses.transpose("setting", "seed", "reading")
    values = values.sel(setting=list(settings)).transpose("setting", "seed", "reading")
    level = losses.min("reading").max("setting")
    read = [
        [
            _crossing(losses.sel(setting=one, seed=seed), level.sel(seed=seed), values, one, seed)
            for seed in found.seed.values
        ]
        for one in settings
    ]
    return xr.DataArray(read, {"setting": list(settings), "seed": found.seed}, ("setting", "seed"))


def _crossing(
    losses: xr.DataArray, level: xr.DataArray, values: xr.DataArray, setting: str, seed: int
) -> float:
    """Return the value where losses first fall to a level."""
    row = values.sel(setting=setting, seed=seed).values
    after = int(np.argmax(losses.values <= float(level)))
    if after == 0:
        return float(row[0])
    high, low = losses.values[after - 1 : after + 1]
    part = (high - float(level)) / (high - low)
    return float(row[after - 1] + part * (row[after] - row[after - 1]))


def noise_table(found: xr.Dataset) -> pd.DataFrame:
    """Return how much more convex whole curves are with more noise, two rows for each knob.

    ``difference`` of the strongest and the weakest noise, paired by seed, ``low`` and ``high`` its
    95 % interval, at the end of training and at equal training loss; ``rank`` is the mean over the
    seeds of the rank correlation of noise and convexity, over all levels.
    """
    rows = {}
    for knob, levels in (("dropout", DROPOUTS), ("learning rate", RATES)):
        convexity = shape_of(found).sel(setting=list(levels))
        for when, values in (
            ("at the end", convexity.isel(reading=-1)),
            ("at equal training loss", at_training_loss(found, list(levels), convexity)),
        ):
            ordered = values.transpose("seed", "setting").values
            difference = mean_interval(ordered[:, -1] - ordered[:, 0])
            ranks = spearman(ordered, np.array(list(levels.values())))
            row = dict(zip(("difference", "low", "high"), difference, strict=True))
            rows[knob, when] = row | {"rank": float(np.mean(ranks))}
    return pd.DataFrame(rows).T.rename_axis(["knob", "when"])


def straightest(found: xr.Dataset) -> tuple[Interval, float]:
    r"""Return whether the straightest has the lowest test loss at equal training loss.

    The rank correlation of \|convexity\| and test loss over the settings `ALIKE`, mean over the
    seeds with its 95 % interval; and the share of permutations of the settings, the same in each
    seed, with a mean as high.
    """
    loss = at_training_loss(found, ALIKE, found.loss.sel(part="test"))
    bent = abs(at_training_loss(found, ALIKE, shape_of(found)))
    losses, values = (each.transpose("seed", "setting").values for each in (loss, bent))
    orders = np.array(list(permutations(range(len(ALIKE)))))
    measured = mean_interval(spearman(values, losses))
    drawn = spearman(values[:, orders], losses[:, None]).mean(0)
    return measured, float((drawn >= measured[0] - 1e-9).mean())


def scaling_table(found: xr.Dataset) -> pd.DataFrame:
    """Return what scaled layer norms do at the end of training, a row for each depth and quantity.

    The mean ``plain`` and ``scaled``, their ``difference`` paired by seed, and the ends ``low`` and
    ``high`` of its 95 % interval: of the imbalance, of the share of the fall that the deeper half
    of the blocks does, and of the test loss in nats.
    """
    rows = {}
    for depth, plain, other in ((6, BASE, "scaled"), (12, "12 blocks", "scaled, 12 blocks")):
        for name, of in _EVENNESS.items():
            one, two = of(found, plain), of(found, other)
            means = {"plain": float(one.mean()), "scaled": float(two.mean())}
            difference = zip(("difference", "low", "high"), mean_interval(two - one), strict=True)
            rows[depth, name] = means | dict(difference)
    return pd.DataFrame(rows).T.rename_axis(["blocks", "quantity"])


def _imbalance(found: xr.Dataset, setting: str) -> np.ndarray:
    return curve_statistics(curves_of(found, setting)[:, -1], "imbalance")


def _deeper_half(found: xr.Dataset, setting: str) -> np.ndarray:
    curves = curves_of(found, setting)[:, -1]
    half = (curves.shape[-1] - 1) // 2
    return (curves[:, half] - curves[:, -1]) / (curves[:, 0] - curves[:, -1])


def final_loss(found: xr.Dataset, setting: str, part: str = "test") -> np.ndarray:
    """Return the loss (seed) of a setting at the end of training, in nats for each character."""
    return found.loss.sel(setting=setting, part=part).isel(reading=-1).values.astype(float)


_EVENNESS = {
    "imbalance": _imbalance,
    "share of the deeper half": _deeper_half,
    "test loss": final_loss,
}


def law_of_residuals(found: xr.Dataset, setting: str) -> np.ndarray:
    """Return Pearson's r (seed) of l = 1, ..., L and log PR_l at the end, on the training text."""
    residual = found.residual.sel(setting=setting, part="training").isel(reading=-1)
    blocks = np.arange(1, SETTINGS[setting].depth + 1)
    rows = np.log(residual.sel(layer=blocks).transpose("seed", "layer").values)
    return np.array([np.corrcoef(blocks, row)[0, 1] for row in rows])


def depth_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the convexity of networks of each depth, with its 95 % interval, and their test loss.

    At the end of training, a row for each number of blocks.
    """
    rows = {}
    for setting, depth in DEPTHS.items():
        convexity = shape_of(found).sel(setting=setting).isel(reading=-1)
        row = dict(zip(("convexity", "low", "high"), mean_interval(convexity), strict=True))
        rows[depth] = row | {"test loss": float(final_loss(found, setting).mean())}
    return pd.DataFrame(rows).T.rename_axis("blocks")


def best_fixed(found: xr.Dataset) -> str:
    """Return the setting of the fixed dropout with the lowest mean validation loss at the end."""
    return min(DROPOUTS, key=lambda setting: final_loss(found, setting, "validation").mean())


def steering_table(found: xr.Dataset) -> pd.DataFrame:
    """Return how fixed and steered networks do at the end, a row for each.

    The mean ``dropout`` over the training and the mean ``test loss``; the test loss of the steered
    networks less that of the row, paired by seed, as ``steered less this`` with the ends ``low``
    and ``high`` of its 95 % interval.
    """
    rows = {}
    for setting in (*DROPOUTS, "steered"):
        tested = final_loss(found, setting)
        row = {
            "dropout": float(found.dropout.sel(setting=setting).isel(reading=slice(1, None)).mean())
        }
        row["test loss"] = float(tested.mean())
        if setting != "steered":
            difference = mean_interval(final_loss(found, "steered") - tested)
            row |= dict(zip(("steered less this", "low", "high"), difference, strict=True))
        rows[setting] = row
    return pd.DataFrame(rows).T.rename_axis("setting")
