"""What the reproduction status finds of the chain of blocks and of the folding ruler."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.chain.diagram_matching import fit_diagram
from sbt_book.common.selections import convexity
from sbt_book.in_time.switching import drawn_on, in_turn
from sbt_book.phase_diagram.published import published_diagram
from sbt_book.status.nulls import BY_CHANCE, exponential_in_each_cell
from sbt_book.status.verdicts import LIMITS, SHARE, Finding
from sbt_utils.measuring.curves import REGIME_TOLERANCE, LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.matching import GOOD_MATCH, fit_chain
from sbt_utils.mechanics.published_chains import (
    DURATION,
    SECOND_ORDER,
    in_units,
    relaxed_curve,
)
from sbt_utils.mechanics.pulls import quick_and_jerky, slow_and_steady
from sbt_utils.mechanics.ruler import FoldingRuler

PUBLISHED_PULLS = {"slow": -0.26, "quick": -0.08}
"""Convexity of the load curve of the authors' ruler after a pull, slow and steady or quick and
jerky: read from the last frames of the photographs in their public repository, one pull each."""

PUBLIC_FRICTION = 0.04
"""Friction to the left of the chain in the authors' public code, in units of k y."""


def chain_findings(seeds: Sequence[int]) -> list[Finding]:
    """Check the simulated chain against its exact results, which are not the paper's.

    First and last load of the published chain at rest; the force under which a shaken block stays,
    for unequal and for equal frictions, with its standard error over two or more `seeds`.
    """
    quiet = SpringBlockChain(noise=0.0)
    rest = quiet.simulate(duration=2800.0, every=10**9).loads
    step = quiet.frictions[0][0] / quiet.spring_constant
    first = quiet.pull / quiet.spring_constant / (quiet.blocks + 1) - step * quiet.blocks / 2
    at_rest: dict[str, Any] = {"limit": LIMITS["loads"], "digits": ".4f", "about": "theory"}
    findings = [
        Finding("first load at rest", float(rest[0]), published=first, **at_rest),
        Finding("last load at rest", float(rest[-1]), published=first + 7 * step, **at_rest),
    ]
    for right, left in ((0.05, 0.1), (0.1, 0.1)):
        chain = SpringBlockChain(
            spring_constant=1.0,
            friction_right=right,
            friction_left=left,
            noise=0.1,
            noise_decay=0.0,
            common_noise=False,
        )
        shaken = chain.simulate_overdamped(4000.0, dt=0.05, seeds=seeds, every=20)
        loads = -np.diff(shaken.average_load_curve(after=1000.0).separation)
        forces = np.polyfit(np.arange(loads.shape[1]), loads.T, 1)[0] * chain.spring_constant
        what = f"force that shaking leaves, frictions {right:g} and {left:g}"
        ours = float(forces.mean()), float(forces.std(ddof=1) / np.sqrt(len(forces)))
        theirs = (right - left) / 2, LIMITS["balance"]
        findings.append(Finding(what, *ours, *theirs, digits=".4f", about="theory"))
    return findings


def chain_diagram_findings(
    mechanical: xr.DataArray, networks: xr.Dataset, nulls: pd.DataFrame
) -> list[Finding]:
    """Test what the paper states of the chain's phase diagram, alone and beside the networks'.

    In how many pairs of neighbouring cells both knobs act as stated; all three regimes occur, and
    chains get as active as networks, with the friction to the left of `mechanical` and with the
    public one; how many networks have the regime's sign, and the curve, of the chain that stands
    for them, beside nulls.

    Parameters
    ----------
    mechanical : xarray.DataArray
        D_l over (friction, noise, layer).
    networks : xarray.Dataset
        The phase diagram of dropout.
    nulls : pandas.DataFrame
        From `sbt_book.chain.null_experiment.null_scores`, of the same networks.
    """
    shape = convexity(mechanical)
    noise, friction = shape.diff("noise") > 0, shape.diff("friction") < 0
    shared, free = (fit_diagram(networks, mechanical, one) for one in (True, False))
    signs = np.sign(convexity(shared.curve)) == np.sign(convexity(shared.target))
    close = free.residual < GOOD_MATCH
    far = ", ".join(f"{slope:g}" for slope in close.slope.values[close.mean("noise") < 0.5])
    sign, within = (nulls[score].drop("chain") for score in ("sign", "within"))
    one_each = "one friction for each nonlinearity, one noise for each dropout"
    return [
        Finding("more noise, more convex, of all neighbours", noise.mean().item(), **BY_CHANCE),
        Finding(
            "more friction, less convex, of all neighbours", friction.mean().item(), **BY_CHANCE
        ),
        *_regimes(shape, float(SECOND_ORDER.frictions[1][0]) / SECOND_ORDER.pull),
        *_regimes(public_convexities(mechanical), PUBLIC_FRICTION),
        Finding(
            f"networks and chains on the same side of straight, {one_each}",
            signs.mean().item(),
            **SHARE,
            null=sign.max(),
            null_model=sign.idxmax(),
            why="adding up a number for each nonlinearity and one for each dropout, without any"
            f" mechanics, gets {sign['convexity']:.0%}, and who always says convex"
            f" {sign['always convex']:.0%}",
        ),
        Finding(
            f"networks within {GOOD_MATCH} of the curve of a chain, {one_each}",
            (shared.residual < GOOD_MATCH).mean().item(),
            **SHARE,
            null=within.max(),
            null_model=within.idxmax(),
            why="curves of another shape, with as many free numbers, do better",
        ),
        Finding(
            f"networks within {GOOD_MATCH} of the curve of a chain, noise free in each cell",
            close.mean().item(),
            **SHARE,
            null=(exponential_in_each_cell(free.target) < GOOD_MATCH).mean().item(),
            null_model="exponential",
            why=f"most of those with negative slopes of {far} drop more steeply at"
            " first than any chain",
        ),
    ]


def public_convexities(mechanical: xr.DataArray) -> xr.DataArray:
    """Return convexities (friction, noise) of the published chain with its public friction.

    In the mean field, at the end of the pull; at the levels of `mechanical`.
    """
    chain = replace(SECOND_ORDER, friction_left=PUBLIC_FRICTION * SECOND_ORDER.pull)
    levels = [mechanical[name].values.tolist() for name in ("friction", "noise")]
    found = [
        [relaxed_curve(in_units(chain, friction, noise)).convexity for noise in levels[1]]
        for friction in levels[0]
    ]
    return mechanical.isel(layer=0, drop=True).copy(data=np.array(found))


def _regimes(shape: xr.DataArray, left: float) -> list[Finding]:
    """Return the findings on a chain's diagram, convexities, with a friction to the left."""
    regimes = len(np.unique(np.digitize(shape, [-REGIME_TOLERANCE, REGIME_TOLERANCE])))
    where = f"friction to the left {left:g} k y"
    # Linear networks bend further, where the dictionary leaves no friction to explain it.
    most = convexity(published_diagram("dropout").curve.sel(slope=0)).max().item()
    active = (shape > REGIME_TOLERANCE).mean().item()
    return [
        Finding(f"regimes in the chain's diagram, {where}", regimes, None, 3, 0, digits=".0f"),
        Finding(
            f"convexity of the most active chain, {where}, beside published ReLU networks",
            shape.max().item(),
            published=most,
            least=round(most - LIMITS["convexity"], 3),
            why=f"{active:.0%} of its cells are active, and none as active as these networks",
        ),
    ]


def ruler_findings(hands: Sequence[int]) -> list[Finding]:
    """Pull the folding ruler as the paper does, and compare with its photographs.

    Convexity of the load curve after a slow and steady pull, after slow pulls by violently shaking
    hands and after quick ones: mean and standard deviation over two or more seeds of `hands`.
    """
    ruler = FoldingRuler()
    slow = ruler.pull(slow_and_steady(ruler), every=100).load_curve.convexity
    theirs = PUBLISHED_PULLS
    findings = [
        Finding("slow and steady", slow, published=theirs["slow"], limit=LIMITS["convexity"])
    ]
    null: dict[str, Any] = {"null_model": "jerks do nothing"}
    for what, speed, amplitude in (("slow, shaken by 15 mm", 0.2, 0.015), ("quick", 2.0, 0.003)):
        pulls = [
            ruler.pull(quick_and_jerky(ruler, speed=speed, amplitude=amplitude, seed=hand))
            for hand in hands
        ]
        convexities = [pull.load_curve.convexity for pull in pulls]
        mean, spread = float(np.mean(convexities)), float(np.std(convexities, ddof=1))
        limit = round(max(LIMITS["convexity"], LIMITS["hands"] * spread), 2)
        findings += [
            Finding(
                f"{what}: more convex than slow and steady by",
                mean - slow,
                spread,
                theirs["quick"] - theirs["slow"],
                least=LIMITS["convexity"],
                null=0.0,
                **null,
            ),
            Finding(
                what,
                mean,
                spread,
                theirs["quick"],
                limit,
                null=slow,
                **null,
                why="our hand opens the inner sections further than theirs did"
                if abs(mean - theirs["quick"]) > limit
                else "hands differ too much, and the published pull is a single one",
            ),
        ]
    return findings


def time_findings(separation: xr.DataArray, seeds: Sequence[int]) -> list[Finding]:
    """Compare networks whose noise is switched off and on again with the chain that matches them.

    The chain is fitted to the networks as they are with the noise on, and predicts their convexity
    after the noise has been switched off, and on again: mean and standard deviation over the
    networks. The predictions are this book's, not the paper's.

    Parameters
    ----------
    separation : xarray.DataArray
        D_l of networks over (member, time, layer); the noise is on up to epoch 100, off to epoch
        200, and on again to epoch 300: ``results/training_in_time.nc``.
    seeds : sequence of int
        Of the chains, at least two.
    """
    steady = replace(SECOND_ORDER, noise_decay=0.0)
    shaken = fit_chain(LoadCurve(separation.sel(time=100).values), chain=steady).chain
    parts = shaken, replace(shaken, noise=0.0), shaken
    end = drawn_on(separation, since=100, pace=DURATION / 100)
    chains = {
        "held": in_turn(parts, DURATION, seeds),
        "drawn": in_turn([replace(part, end=end) for part in parts], DURATION, seeds),
    }
    findings = []
    for words, epoch in (("switched off", 200), ("on again", 300)):
        networks = convexity(separation.sel(time=epoch))
        held, drawn = (
            convexity(chain.sel(time=epoch * DURATION / 100)).mean().item()
            for chain in chains.values()
        )
        findings.append(
            Finding(
                f"convexity of networks after 100 epochs with the noise {words}",
                networks.mean().item(),
                networks.std(ddof=1).item(),
                held,
                REGIME_TOLERANCE,
                why=f"the loss goes on pulling; a chain whose end is drawn on comes to {drawn:.2f}",
                about="prediction",
            )
        )
    return findings
