"""What the reproduction status finds of the networks: the law, the diagrams, convolutions."""

import json
from typing import Any

import numpy as np
import xarray as xr

from sbt_book.beyond.voting import by_strength, votes
from sbt_book.common.noise_axes import NOISES, in_order, level_name
from sbt_book.common.selections import convexity
from sbt_book.common.statistics import rank_correlation
from sbt_book.generalisation.correlations import networks_of
from sbt_book.generalisation.level_choice import MOST_GIVEN_UP, straightest_and_best
from sbt_book.phase_diagram.fewer_images import deviation_draws, without_new_networks
from sbt_book.phase_diagram.published import compare, deviation_by_chance, published_diagram
from sbt_book.phase_diagram.summaries import cell_summary
from sbt_book.status.nulls import BY_CHANCE, other_panels, same_regime
from sbt_book.status.verdicts import DEVIATIONS, LIMITS, Finding

_OTHER = "another panel"
_ODD = {"data_noise": "the published panel contradicts that of dropout, where neither has noise"}


def law_findings(law: xr.Dataset) -> list[Finding]:
    """Judge the law by this book's own protocol, for each kind of network of ``results/law.nc``.

    By the magnitude of r at the learning rate with the best test accuracy: mean and standard
    deviation over the seeds. `law` has ``linearity_fuzziness`` and ``accuracy_test`` (kind,
    learning_rate, seed), with the kinds in its configuration.
    """
    findings = []
    for index, kind in enumerate(json.loads(law.attrs["configuration"])["kinds"]):
        layers, width, optimizer, *_ = kind.values()
        rates = law.isel(kind=index).dropna("learning_rate", how="all")
        r = abs(rates.linearity_fuzziness)
        best = r.isel(learning_rate=rates.accuracy_test.mean("seed").argmax("learning_rate"))
        findings.append(
            Finding(
                f"{layers} layers of {width}, {optimizer}",
                best.mean().item(),
                best.std(ddof=1).item(),
                least=LIMITS["law"],
                why=f"{r.mean('seed').max():.3f} at the most suitable of three learning rates",
                about="prediction",
            )
        )
    return findings


def statement_findings(source: str, diagram: xr.Dataset) -> list[Finding]:
    """Test what the paper states of all its phase diagrams, on the levels that it shows.

    In how many pairs of neighbouring cells both knobs act as stated; ReLU networks are lazy without
    noise and active with the strongest; the most accurate ones are straight. Beside it what the
    published curves have of the same. `source` is a key of `NOISES`, `diagram` as
    `sbt_book.phase_diagram.summaries.cell_summary` takes it.
    """
    cells = cell_summary(diagram.sel(noise=list(NOISES[source].shown)))
    published = published_diagram(source)
    published["convexity"] = convexity(published.curve)
    theirs, ours = (in_order(source, panel).isel(slope=0) for panel in (published, cells))
    seeds = diagram.sizes["seed"]
    linear = in_order(source, cells).convexity.isel(slope=-1, noise=-1).item()
    nulls: dict[int, dict[str, Any]] = {
        -1: {"null": linear, "null_model": "a linear network's"},
        0: {"null": ours.convexity[-1].item(), "null_model": "noise does nothing"},
    }

    def relu(words: str, level: int) -> Finding:
        mean, spread = ours.convexity[level].item(), ours.convexity_spread[level].item()
        limit = round(max(LIMITS["convexity"], _apart(spread, seeds)), 2)
        what = f"convexity of ReLU networks {words}"
        number, why = theirs.convexity[level].item(), _ODD.get(source, "")
        return Finding(what, mean, spread, number, limit, why=why, **nulls[level])

    words = ("more noise, more convex", "more nonlinearity, less convex")
    shares = zip(words, _knobs(source, cells), _knobs(source, published), strict=True)
    best, spread = _straightness(cells), cells.isel(_top(cells)).convexity_spread.item()
    published_best = _straightness(published)
    what = "convexity of the most accurate networks"
    return [
        *(
            Finding(f"{word}, of all neighbours", share, published=number, **BY_CHANCE)
            for word, share, number in shares
        ),
        relu("without noise (lazy)", -1),
        relu("with the most noise (active)", 0),
        Finding(what, best, spread, published_best, LIMITS["convexity"]),
        Finding(
            f"{what}: straight?",
            abs(best),
            published=abs(published_best),
            most=LIMITS["straight"],
            null=abs(cells.convexity).median().item(),
            null_model="the median cell",
            why=f"they are slightly lazy, as the published ones are ({published_best:.2f})",
        ),
    ]


def convolutional_findings(cnn: xr.Dataset) -> list[Finding]:
    """Test what the paper states of its convolutional networks, as far as ours are trained.

    In how many pairs of neighbouring levels more dropout makes the load curve more convex; how much
    accuracy is given up by choosing the straightest level, with its standard error. Of networks in
    `cnn`, from `dropout_experiment`, that have learned something: 15 % of their training images,
    where chance is 10 %. The null chooses a level at random.
    """
    networks = networks_of(cnn, least=0.15).isel(checkpoint=-1).sortby("noise")
    means = networks[["convexity", "accuracy"]].mean("seed").dropna("noise")
    choice = straightest_and_best(networks)
    many = (
        f"after {networks.checkpoint:,d} of 2,000 epochs, {networks.sizes['seed']} of 10 networks"
    )
    accuracies = choice.accuracy_straightest.item(), choice.accuracy_best.item()
    return [
        Finding(
            "more dropout, more convex, of all neighbours",
            (means.convexity.diff("noise") > 0).mean().item(),
            **BY_CHANCE,
            why=many,
        ),
        Finding(
            "accuracy given up by choosing the straightest level, points",
            100 * choice.given_up.item(),
            100 * choice.error.item(),
            most=100 * MOST_GIVEN_UP,
            digits=".1f",
            null=100 * (means.accuracy.max() - means.accuracy.mean()).item(),
            null_model="any level",
            why=f"{accuracies[0]:.1%} at a dropout of {choice.straightest:g} in place of"
            f" {accuracies[1]:.1%} at {choice.best:g}, where the curve is lazy"
            f" ({choice.convexity_best:.2f}); {many}",
        ),
    ]


def published_findings(source: str, diagram: xr.Dataset) -> list[Finding]:
    """Compare a phase diagram with the published numbers.

    Deviation of the scaled curves: mean, share of the cells within their limit, largest. Shape:
    rank correlation of the convexities, share of the cells in the same regime. Accuracy: the
    highest, rank correlation, largest difference. The null is another of the published panels: what
    ours falls short of perfect agreement has to be at most half of what that does. `source` is a
    key of `NOISES`, `diagram` as `sbt_book.phase_diagram.summaries.cell_summary` takes it.
    """
    theirs = published_diagram(source)
    ours = diagram.sel(noise=theirs.noise)
    cells, summary = compare(ours, theirs), cell_summary(ours)
    mean, single = DEVIATIONS[source]
    null = other_panels(source, single)

    worst = cells.deviation.argmax(["slope", "noise"])
    chance = deviation_by_chance(ours).isel(worst).item()
    astray = abs(cells.accuracy_difference).argmax(["slope", "noise"])
    cell = {name: cells.accuracy.isel(astray)[name].item() for name in ("slope", "noise")}
    spread = 100 * summary.accuracy_spread.sel(cell).item()

    shapes = xr.align(convexity(theirs.curve), summary.convexity)
    same = same_regime(*shapes)
    apart = abs(shapes[0] - shapes[1]).where(~same).max().item()
    top = summary.isel(_top(summary))

    def small(name: str, limit: float, digits: str) -> dict[str, Any]:
        most = round(min(limit, null[name] / 2), 4)
        return {"most": most, "null": null[name], "null_model": _OTHER, "digits": digits}

    def large(name: str, digits: str = ".3f") -> dict[str, Any]:
        least = round(max(LIMITS["agree"], (1 + null[name]) / 2), 3)
        return {"least": least, "null": null[name], "null_model": _OTHER, "digits": digits}

    return [
        Finding(
            "deviation of the curves, mean",
            cells.deviation.mean().item(),
            **small("deviation", mean, ".4f"),
        ),
        Finding(
            f"cells that deviate by {single:g} at most",
            (cells.deviation <= single).mean().item(),
            **large("within", ".0%"),
        ),
        Finding(
            "deviation, largest",
            cells.deviation.max().item(),
            **small("largest", single, ".3f"),
            why=f"at {_place(source, cells.isel(worst))}, where two draws of our own ten"
            f" networks can lie {chance:.3f} apart",
        ),
        Finding("convexities, rank correlation", rank_correlation(*shapes), **large("shapes")),
        Finding(
            "cells in the same regime",
            same.mean().item(),
            **large("regimes", ".0%"),
            why=f"the others lie at an edge: their convexities differ by {apart:.2f} at most",
        ),
        Finding(
            "highest accuracy, %",
            100 * top.accuracy.item(),
            100 * top.accuracy_spread.item(),
            theirs.accuracy.max().item(),
            LIMITS["points"],
            digits=".1f",
            why=_ODD.get(source, ""),
        ),
        Finding(
            "accuracies, rank correlation",
            rank_correlation(cells.accuracy, cells.accuracy_published),
            **large("accuracies"),
        ),
        Finding(
            "accuracy, largest difference, points",
            abs(cells.accuracy_difference).max().item(),
            **small("points", LIMITS["points"], ".1f"),
            why=f"at {_place(source, cells.isel(astray))}, where our ten networks have a"
            f" standard deviation of {spread:.1f}",
        ),
    ]


def fewer_images_findings(fewer: xr.Dataset, diagram: xr.Dataset) -> list[Finding]:
    """Judge by chapter 4's criterion whether fewer training images explain the data-noise panel.

    Parameters
    ----------
    fewer, diagram : xarray.Dataset
        The data-noise diagram at 1,000 images, ``results/data_noise_1000.nc``, and at 2,560.
    """
    theirs = published_diagram("data_noise")
    both = [part.sel(noise=theirs.noise) for part in (fewer, diagram)]
    cells, draws = compare(fewer, theirs), [deviation_draws(part, theirs) for part in both]
    without = without_new_networks(diagram, theirs)
    nearest = min(without, key=without.__getitem__)
    dropout = published_diagram("dropout").sel(noise=[0.0])
    control, before = (compare(part, dropout).deviation.mean().item() for part in both)
    about: Any = {"about": "prediction"}
    return [
        Finding(
            "mean deviation with 1,000 images",
            cells.deviation.mean().item(),
            most=0.013,
            digits=".4f",
            null=without[nearest],
            null_model=nearest,
            **about,
        ),
        Finding(
            "pairs of draws in which it is below that with 2,560 images",
            float((draws[0] < draws[1]).mean()),
            least=0.975,
            digits=".1%",
            null=0.5,
            null_model="by chance",
            **about,
        ),
        Finding("largest deviation", cells.deviation.max().item(), most=0.04, **about),
        Finding(
            "mean difference of the accuracies, points",
            cells.accuracy_difference.mean().item(),
            least=-LIMITS["points"],
            most=LIMITS["points"],
            digits=".1f",
            null=compare(diagram, theirs).accuracy_difference.mean().item(),
            null_model="2,560 images",
            **about,
        ),
        Finding(
            "control: deviation of the noiseless column from the dropout panel, against"
            f" {before:.4f} with 2,560 images",
            control,
            least=round(before, 4),
            digits=".4f",
            **about,
        ),
    ]


def _knobs(source: str, cells: xr.Dataset) -> np.ndarray:
    """Return the shares of neighbours with more noise, or more nonlinearity, that obey."""
    return votes(by_strength(source, cells.convexity).transpose("noise", "slope").values)


def _top(cells: xr.Dataset) -> dict[Any, xr.DataArray]:
    """Return where the accuracy is highest, for ``isel``."""
    return cells.accuracy.argmax(["noise", "slope"])


def _apart(spread: float, seeds: int) -> float:
    """Return how far the means of two sets of as many seeds may be apart."""
    return float(LIMITS["errors"] * spread * np.sqrt(2 / seeds))


def _straightness(cells: xr.Dataset) -> float:
    """Return the convexity of the cell with the highest accuracy (the mean, if some share it)."""
    return cells.convexity.where(cells.accuracy == cells.accuracy.max()).mean().item()


def _place(source: str, cell: xr.Dataset) -> str:
    return f"α = {cell.slope.item():g}, {NOISES[source].label} = {level_name(cell.noise.item())}"
