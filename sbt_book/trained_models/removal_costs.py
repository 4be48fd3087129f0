"""What each block's removal costs trained models, and which number measured in one pass tells it.

Written down before any load or cost was computed (that the models answer as they should had been
looked at: the pitches of 48 sounds, the chapters of the texts by the whole sentence encoder):

Loads
    *Pitch network*: lazy. Phases are random, so that the sounds themselves are not separated at
    all (D near that of shuffled labels), and the last two layers and the readout do most.
    *Sentence encoder*: it was trained to tell texts apart, not chapters, so the whole fall is small
    (below 1); the last block does most, the curve is lazy. *Language model*: D rises first, since
    the first token of any text gets enormous features from some early block on, in all texts alike
    ("massive activations"), and its weight in the mean over tokens depends on their number; it
    falls again at the last block. Without the first token D falls up to the middle blocks and
    rises afterwards, where the next word matters more than the topic.
Costs
    *Language model*: the first block is by far the dearest, the one that makes the massive
    activations the second, and the last one is dear, too; the cheapest lie in the second half.
    Influence and angular distance predict the cost best (rank correlation 0.7), depth less (0.5),
    the load not at all (below 0.3 in size). *Sentence encoder*: all blocks cost little, and
    six blocks say little; influence is best. *Pitch network*: it has no skip connections. Only its
    third and fourth layer can be skipped at all, the others change the number of channels, and
    without either one it hears no pitch any more.
Criterion
    Spearman's rank correlation over the blocks of a model, of each predictor with the cost, with
    the 95 % interval of a bootstrap over inputs. Predictors: load, load on the second part, block
    influence, angular distance, and depth, shallow blocks first. One is better than another on a
    model if the interval of the difference of their correlations leaves out 0.
Null model
    Blocks whose order says nothing: by chance 95 % of the correlations of 30 blocks lie within
    0.36, of six blocks within 0.83. In ten kinds of small networks depth was the best predictor
    (mean 0.83; `sbt_book.advice.removal_ranks`).

Found
    *Loads*: wrong for two models of three. The pitch network is equiseparated: its first layer, the
    fourth and the fifth do most. The sentence encoder, with a small fall of 0.5, is even over five
    blocks, and its last one has no load. The language model's D rises as foretold, but at the
    twelfth block, and without the first tokens as well: in 4 of the 768 texts another token gets
    enormous features, too, which is enough.
    *Costs*: influence and angular distance are best on both transformers (0.88 and more), the load
    says nothing, as foretold; depth says nothing either, unlike in small networks. The block that
    makes the massive activations is the fourth dearest; it changes one token of a text, so that its
    influence, a mean over tokens, does not show it. The cheapest blocks lie in the middle, from the
    13th to the 18th. The last block of the sentence encoder is its dearest and has no load: the
    readout knows the features behind it. Without its third or fourth layer the pitch network is
    worse than an answer that is the same for every sound.
"""

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import spearman
from sbt_utils.measuring.curves import interval

PREDICTORS = (
    "load",
    "load on the second part",
    "load without first tokens",
    "influence",
    "angular distance",
    "depth",
)
"""What may tell the cost of a block, higher where it is dearer."""

FEWEST = 6
"""Of fewer blocks ranks are not compared."""

DRAWS = 1000
"""Of the bootstrap over inputs."""


def cost(found: xr.Dataset) -> xr.DataArray:
    """Return what skipping each block adds to the loss of each unit of inputs, in nats.

    Dimensions are those of ``loss_without``; nan where no block can be skipped.
    """
    return found.loss_without - found.loss


def cost_table(found: xr.Dataset, model: str) -> pd.DataFrame:
    """Return what each block that can be skipped costs a model, with what may predict it.

    Parameters
    ----------
    found : xarray.Dataset
        From `sbt_book.trained_models.experiment.everything`.
    model : str
        One of its models.

    Returns
    -------
    pandas.DataFrame
        One row per block, by its number l: ``name``, ``cost`` in nats with the ends ``low`` and
        ``high`` of its 95 % interval, and the `PREDICTORS` that are known.
    """
    one = _skippable(found, model)
    whole, drawn = _costs(one)
    low, high = interval(drawn)
    columns = {"name": one.name.values.astype(str), "cost": whole, "low": low, "high": high}
    columns |= {name: values for name, (values, _) in _predictors(one).items()}
    return pd.DataFrame(columns, index=pd.Index(one.layer.values, name="l"))


def correlation_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the rank correlation of each predictor with the cost, over the blocks of each model.

    Returns
    -------
    pandas.DataFrame
        One row per model of `FEWEST` blocks that can be skipped or more: ``blocks``; ``by chance``,
        the size of correlation that 5 % of random orders exceed; of each of the `PREDICTORS` its
        correlation, and the ends ``_low`` and ``_high`` of its 95 % interval from draws of inputs.
    """
    rows = {}
    for model, (blocks, values) in _correlations(found).items():
        rows[model] = {"blocks": blocks, "by chance": _by_chance(blocks)} | _ends(values)
    return pd.DataFrame(rows).T


def difference_table(found: xr.Dataset, reference: str = "depth") -> pd.DataFrame:
    """Return by how much each predictor's rank correlation exceeds that of another, `reference`.

    As `correlation_table`, with one column and its interval for each other predictor.
    """
    rows = {}
    for model, (_, values) in _correlations(found).items():
        at, drawn = values[reference]
        others = {name: (v - at, d - drawn) for name, (v, d) in values.items() if name != reference}
        rows[model] = _ends(others)
    return pd.DataFrame(rows).T


def choice_table(found: xr.Dataset) -> pd.DataFrame:
    """Return which block each predictor would remove first, and what that costs.

    Returns
    -------
    pandas.DataFrame
        One row per model and predictor, and ``"cost"`` for the cheapest block: ``l``, the number
        of the block, ``name`` and ``cost`` in nats.
    """
    rows = {}
    for model in _correlations(found):
        table = cost_table(found, model)
        for predictor in ("cost", *(name for name in PREDICTORS if name in table)):
            least = table[predictor].idxmin()
            rows[model, predictor] = {"l": least} | table.loc[least, ["name", "cost"]].to_dict()
    return pd.DataFrame(rows).T.rename_axis(index=["model", "predictor"])


def _skippable(found: xr.Dataset, model: str) -> xr.Dataset:
    """Return the blocks of a model that can be skipped, and the units that it has."""
    one = found.sel(model=model)
    costs = cost(one)
    loads = {
        f"load_{part}": -one[f"separation_{part}"].diff("layer", label="upper")
        for part in ("train", "test")
    }
    units = costs.notnull().any("layer")
    blocks = costs.notnull().any("unit")
    return one.assign(loads).isel(unit=units.values).sel(layer=one.layer[blocks.values])


def _costs(one: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean cost of each block, (blocks,), and its draws, (draws, blocks)."""
    return _mean_and_draws(cost(one))


def _mean_and_draws(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over the units, and that of units drawn anew: always the same draws."""
    rows = values.transpose("unit", "layer").values
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(rows), size=(DRAWS, len(rows)))
    return rows.mean(0), rows[chosen].mean(1)


def _predictors(one: xr.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what each predictor says of each block, (blocks,), and its draws, (draws, blocks)."""
    rng = np.random.default_rng(1)
    chosen = rng.integers(one.sizes["draw"], size=DRAWS)
    loads = {
        "load": one.load_train.isel(tokens=0),
        "load on the second part": one.load_test.isel(tokens=0),
        "load without first tokens": one.load_train.isel(tokens=1),
    }
    known: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, values in loads.items():
        rows = values.transpose("draw", "layer").values
        if np.isfinite(rows).all():
            known[name] = rows.mean(0), rows[chosen]
    known["influence"] = _mean_and_draws(one.influence)
    known["angular distance"] = _mean_and_draws(one.angular_distance)
    depth = -one.layer.values.astype(float)
    return known | {"depth": (depth, np.tile(depth, (DRAWS, 1)))}


Correlation = tuple[float, np.ndarray]  # over all inputs, and of each draw


def _correlations(found: xr.Dataset) -> dict[str, tuple[int, dict[str, Correlation]]]:
    """Return the number of blocks of each model that has enough, and each predictor's ranks."""
    tables = {}
    for model in found.model.values:
        one = _skippable(found, model)
        if one.sizes["layer"] < FEWEST:
            continue
        whole, drawn = _costs(one)
        tables[str(model)] = (
            one.sizes["layer"],
            {
                name: (float(spearman(values, whole)), spearman(draws, drawn))
                for name, (values, draws) in _predictors(one).items()
            },
        )
    return tables


def _ends(values: dict[str, Correlation]) -> dict[str, float]:
    """Return values with the ends of their intervals, as the columns of a row."""
    row: dict[str, float] = {}
    for name, (value, drawn) in values.items():
        low, high = interval(drawn)
        row |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def _by_chance(blocks: int, orders: int = 10000) -> float:
    """Return the rank correlation whose size 5 % of random orders exceed."""
    rng = np.random.default_rng(0)
    drawn = rng.permuted(np.tile(np.arange(blocks), (orders, 1)), axis=1)
    return float(np.quantile(abs(spearman(drawn, np.arange(blocks))), 0.95))
