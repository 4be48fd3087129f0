"""What the reproduction status finds of the networks: the law, the diagrams, convolutions."""

import json

import xarray as xr

from sbt_book.common.noise_axes import NOISES, in_order, level_name
from sbt_book.common.selections import convexity
from sbt_book.common.statistics import rank_correlation
from sbt_book.generalisation.correlations import networks_of
from sbt_book.generalisation.level_choice import straightest_and_best
from sbt_book.phase_diagram.published import compare, deviation_by_chance, published_diagram
from sbt_book.phase_diagram.summaries import cell_summary
from sbt_book.status.verdicts import DEVIATIONS, LIMITS, SHARE, VOTES, Finding
from sbt_utils.measuring.curves import REGIME_TOLERANCE


def law_findings(law: xr.Dataset) -> list[Finding]:
    """Judge the law of data separation, for each kind of network of ``results/law.nc``.

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
            )
        )
    return findings


def statement_findings(source: str, diagram: xr.Dataset) -> list[Finding]:
    """Test what the paper states of all its phase diagrams, on the levels that it shows.

    In how many pairs of neighbouring cells both knobs act as stated; ReLU networks are lazy without
    noise and active with the strongest; the most accurate ones are nearly straight. `source` is a
    key of `NOISES`, `diagram` as `sbt_book.phase_diagram.summaries.cell_summary` takes it.
    """
    cells = cell_summary(diagram.sel(noise=list(NOISES[source].shown)))
    shares, best = _knobs(source, cells), _straightness(cells)
    published: list[float | None] = [None] * 3
    if source in DEVIATIONS:
        theirs = published_diagram(source)
        theirs["convexity"] = convexity(theirs.curve)
        published = [*_knobs(source, theirs), _straightness(theirs)]
    ordered = in_order(source, cells).isel(slope=0)
    relu = "convexity of ReLU networks"
    active, lazy = (
        (ordered.convexity[level].item(), ordered.convexity_spread[level].item())
        for level in (0, -1)
    )
    top = cells.isel(cells.accuracy.argmax(["noise", "slope"]))
    words = ("more noise, more convex", "more nonlinearity, less convex")
    return [
        *(
            Finding(f"{word}, of all neighbours", share, published=theirs, **VOTES)
            for word, share, theirs in zip(words, shares, published, strict=False)
        ),
        Finding(f"{relu} without noise (lazy)", *lazy, most=-REGIME_TOLERANCE),
        Finding(f"{relu} with the most noise (active)", *active, least=REGIME_TOLERANCE),
        Finding(
            "convexity of the most accurate networks (straight)",
            best,
            top.convexity_spread.item(),
            published[2],
            least=-LIMITS["straight"],
            most=LIMITS["straight"],
        ),
    ]


def convolutional_findings(cnn: xr.Dataset) -> list[Finding]:
    """Test what the paper states of its convolutional networks, as far as ours are trained.

    In how many pairs of neighbouring levels more dropout makes the load curve more convex; the
    straightest level is the most accurate one, give or take one. Of networks in `cnn`, from
    `dropout_experiment`, that have learned something: 15 % of their training images, where chance
    is 10 %.
    """
    networks = networks_of(cnn, least=0.15).isel(checkpoint=-1).sortby("noise")
    means = networks.convexity.mean("seed").dropna("noise")
    choice = straightest_and_best(networks)
    levels = networks.noise.values.tolist()
    apart = abs(levels.index(choice.straightest) - levels.index(choice.best))
    why = f"after {networks.checkpoint:,d} of 2,000 epochs, {networks.sizes['seed']} of 10 networks"
    return [
        Finding(
            "more dropout, more convex, of all neighbours",
            (means.diff("noise") > 0).mean().item(),
            **VOTES,
            why=why,
        ),
        Finding(
            "levels of dropout between the straightest and the most accurate",
            apart,
            most=1,
            digits=".0f",
            why=f"{choice.straightest:g} and {choice.best:g}, {why}",
        ),
    ]


def published_findings(source: str, diagram: xr.Dataset) -> list[Finding]:
    """Compare a phase diagram of ``"dropout"`` or ``"learning_rate"`` with the published numbers.

    Deviation of the scaled curves: mean, share of the cells within their limit, largest. Shape:
    rank correlation of the convexities, share of the cells in the same regime. Accuracy: the
    highest, rank correlation, largest difference. `diagram` is as
    `sbt_book.phase_diagram.summaries.cell_summary` takes it.
    """
    theirs = published_diagram(source)
    ours = diagram.sel(noise=theirs.noise)
    cells, summary = compare(ours, theirs), cell_summary(ours)
    mean, single = DEVIATIONS[source]

    worst = cells.deviation.argmax(["slope", "noise"])
    chance = deviation_by_chance(ours).isel(worst).item()
    astray = abs(cells.accuracy_difference).argmax(["slope", "noise"])
    cell = {name: cells.accuracy.isel(astray)[name].item() for name in ("slope", "noise")}
    spread = 100 * summary.accuracy_spread.sel(cell).item()

    shapes = xr.align(convexity(theirs.curve), summary.convexity)
    regimes = [1 * (c > REGIME_TOLERANCE) - 1 * (c < -REGIME_TOLERANCE) for c in shapes]
    same = regimes[0] == regimes[1]
    apart = abs(shapes[0] - shapes[1]).where(~same).max().item()
    top = summary.isel(summary.accuracy.argmax(["noise", "slope"]))
    return [
        Finding(
            "deviation of the curves, mean", cells.deviation.mean().item(), most=mean, digits=".4f"
        ),
        Finding(
            f"cells that deviate by {single:g} at most",
            (cells.deviation <= single).mean().item(),
            **SHARE,
        ),
        Finding(
            "deviation, largest",
            cells.deviation.max().item(),
            most=single,
            why=f"at {_place(source, cells.isel(worst))}, where two draws of our own ten"
            f" networks can lie {chance:.3f} apart",
        ),
        Finding("convexities, rank correlation", rank_correlation(*shapes), least=LIMITS["agree"]),
        Finding(
            "cells in the same regime",
            same.mean().item(),
            **SHARE,
            why=f"the others lie at an edge: their convexities differ by {apart:.2f} at most",
        ),
        Finding(
            "highest accuracy, %",
            100 * top.accuracy.item(),
            100 * top.accuracy_spread.item(),
            theirs.accuracy.max().item(),
            LIMITS["points"],
            digits=".1f",
        ),
        Finding(
            "accuracies, rank correlation",
            rank_correlation(cells.accuracy, cells.accuracy_published),
            least=LIMITS["agree"],
        ),
        Finding(
            "accuracy, largest difference, points",
            abs(cells.accuracy_difference).max().item(),
            most=LIMITS["points"],
            digits=".1f",
            why=f"at {_place(source, cells.isel(astray))}, where our ten networks have a"
            f" standard deviation of {spread:.1f}",
        ),
    ]


def _knobs(source: str, cells: xr.Dataset) -> tuple[float, float]:
    """Return the shares of neighbours with more noise, or more nonlinearity, that obey."""
    shape = in_order(source, cells.convexity)
    calmer, straighter = shape.diff("noise"), shape.diff("slope")
    noise, slope = (calmer < 0).sum() / calmer.count(), (straighter > 0).sum() / straighter.count()
    return noise.item(), slope.item()


def _straightness(cells: xr.Dataset) -> float:
    """Return the convexity of the cell with the highest accuracy (the mean, if some share it)."""
    return cells.convexity.where(cells.accuracy == cells.accuracy.max()).mean().item()


def _place(source: str, cell: xr.Dataset) -> str:
    return f"α = {cell.slope.item():g}, {NOISES[source].label} = {level_name(cell.noise.item())}"
