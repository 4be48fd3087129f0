"""What the reproduction status finds of the chain of blocks and of the folding ruler."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sbt_book.chain.diagram_matching import fit_diagram
from sbt_book.common.selections import convexity
from sbt_book.in_time.switching import drawn_on, in_turn
from sbt_book.status.verdicts import LIMITS, SHARE, VOTES, Finding
from sbt_utils.measuring.curves import REGIME_TOLERANCE, LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.matching import fit_chain
from sbt_utils.mechanics.published_chains import DURATION, SECOND_ORDER
from sbt_utils.mechanics.pulls import quick_and_jerky, slow_and_steady
from sbt_utils.mechanics.ruler import FoldingRuler


def chain_findings(seeds: Sequence[int]) -> list[Finding]:
    """Simulate the chain and compare it with its exact results.

    First and last load of the published chain at rest; the force under which a shaken block stays,
    for unequal and for equal frictions, with its standard error over two or more `seeds`.
    """
    quiet = SpringBlockChain(noise=0.0)
    rest = quiet.simulate(duration=2800.0, every=10**9).loads
    step = quiet.frictions[0][0] / quiet.spring_constant
    first = quiet.pull / quiet.spring_constant / (quiet.blocks + 1) - step * quiet.blocks / 2
    at_rest: dict[str, Any] = {"limit": LIMITS["loads"], "digits": ".4f"}
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
        findings.append(Finding(what, *ours, *theirs, digits=".4f"))
    return findings


def chain_diagram_findings(mechanical: xr.DataArray, networks: xr.Dataset) -> list[Finding]:
    """Test what the paper states of the chain's phase diagram, alone and beside the networks'.

    In how many pairs of neighbouring cells both knobs act as stated; all three regimes occur; how
    many networks have the regime's sign, and the curve, of the chain that stands for them.
    `mechanical` is D_l over (friction, noise, layer), `networks` the phase diagram of dropout.
    """
    shape = convexity(mechanical)
    noise, friction = shape.diff("noise") > 0, shape.diff("friction") < 0
    regimes = len(np.unique(np.digitize(shape, [-REGIME_TOLERANCE, REGIME_TOLERANCE])))
    shared, free = (fit_diagram(networks, mechanical, one) for one in (True, False))
    signs = np.sign(convexity(shared.curve)) == np.sign(convexity(shared.target))
    close = free.residual < 0.03
    far = ", ".join(f"{slope:g}" for slope in close.slope.values[close.mean("noise") < 0.5])
    return [
        Finding("more noise, more convex, of all neighbours", noise.mean().item(), **VOTES),
        Finding("more friction, less convex, of all neighbours", friction.mean().item(), **VOTES),
        Finding("regimes in the chain's diagram", regimes, published=3, limit=0, digits=".0f"),
        Finding(
            "networks and chains on the same side of straight, one friction for each"
            " nonlinearity, one noise for each dropout",
            signs.mean().item(),
            **SHARE,
        ),
        Finding(
            "networks within 0.03 of the curve of a chain, noise free",
            close.mean().item(),
            **SHARE,
            why=f"most of those with negative slopes of {far} drop more steeply at"
            " first than any chain",
        ),
    ]


def ruler_findings(hands: Sequence[int]) -> list[Finding]:
    """Pull the folding ruler as the paper does.

    Convexity of the load curve after a slow and steady pull, after slow pulls by violently shaking
    hands and after quick ones: mean and standard deviation over two or more seeds of `hands`.
    """
    ruler = FoldingRuler()
    slow = ruler.pull(slow_and_steady(ruler), every=100).load_curve.convexity
    findings = [Finding("slow and steady (lazy)", slow, most=-REGIME_TOLERANCE)]
    for what, speed, amplitude in (("slow, shaken by 15 mm", 0.2, 0.015), ("quick", 2.0, 0.003)):
        pulls = [
            ruler.pull(quick_and_jerky(ruler, speed=speed, amplitude=amplitude, seed=hand))
            for hand in hands
        ]
        convexities = [pull.load_curve.convexity for pull in pulls]
        ours = float(np.mean(convexities)), float(np.std(convexities, ddof=1))
        findings.append(Finding(f"{what} (no longer lazy)", *ours, least=-REGIME_TOLERANCE))
    return findings


def time_findings(separation: xr.DataArray, seeds: Sequence[int]) -> list[Finding]:
    """Compare networks whose noise is switched off and on again with the chain that matches them.

    Convexity of the networks at three epochs, where that of a chain whose end is held is accepted:
    mean and standard deviation over the networks.

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
    for words, epoch in (("on", 100), ("switched off", 200), ("on again", 300)):
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
                least=round(held - REGIME_TOLERANCE, 3),
                most=round(held + REGIME_TOLERANCE, 3),
                why=f"the loss goes on pulling; a chain whose end is drawn on comes to {drawn:.2f}",
            )
        )
    return findings
