"""What the reproduction status finds where the theory, or the law, is put to a test of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import xarray as xr

from sbt_book.beyond.voting import DIRECTIONS, by_strength, vote_table
from sbt_book.chain.null_experiment import NETWORKS, null_verdict
from sbt_book.common.noise_axes import NOISES
from sbt_book.friction.loops import memory
from sbt_book.friction.response import mobility_ratio, push_table
from sbt_book.gradients.comparison import drive_table, force_table
from sbt_book.language.findings import law_table
from sbt_book.language_training.findings import noise_table, straightest
from sbt_book.law.protocol_findings import protocol_summary
from sbt_book.status.verdicts import VOTES, Finding

_CURVES = ["parabola", "exponential"]
"""The rivals of chapter 3 that know no mechanics."""
HELD = 0.9
"""Of a mark that dry friction holds, what is left at least, by the criterion of chapter 9."""


def protocol_findings(found: xr.Dataset) -> list[Finding]:
    """Judge the law by its finders' protocol, for each run of ``results/law_protocol.nc``.

    By the median magnitude of r, which has to reach what He & Su report, and to leave 95 % of the
    curves of random loads behind: where it does not, the matter is undecided.
    """
    findings = []
    for run in protocol_summary(found).query("not frozen").itertuples():
        limits: dict[str, Any] = {"least": round(run.null, 4)}
        if not run.beyond_null:
            limits = {"least": run.published, "null": run.null, "null_model": "random loads"}
        findings.append(
            Finding(
                f"{run.depth} layers, {run.optimizer}",
                run.median,
                (run.high - run.low) / 2,
                run.published,
                digits=".4f",
                **limits,
            )
        )
    return findings


def friction_findings(found: xr.Dataset) -> list[Finding]:
    """Ask whether layers stick, of ``results/friction.nc``.

    How many kinds of networks with nonlinearity, not shaken, have a threshold, where all such
    chains have one; how easily a linear network gives way, beside one of ReLU; and how much is left
    of the mark of shaking.
    """
    table = push_table(found).query("slope < 1 and noise == 0").set_index("kind")
    sticks = (table.verdict == "sticks").groupby("kind").mean()
    ratio = mobility_ratio(found, {"slope": 1.0, "dropout": 0.0}, {"slope": 0.0, "dropout": 0.0})
    mark = memory(found.held).isel(held_epoch=-1)
    return [
        Finding(
            "nonlinear layers that stick when pushed, of all kinds without noise",
            sticks["network"],
            published=sticks["chain"],
            least=0.5,
            digits=".0%",
            null=0.0,
            null_model="viscous",
            why="all give way in proportion to the push",
            about="prediction",
        ),
        Finding(
            "how easily linear layers give way, beside ReLU",
            ratio.mean().item(),
            ratio.std(ddof=1).item(),
            least=1.0,
            digits=".2f",
            why="nonlinear layers move more easily",
            about="prediction",
        ),
        Finding(
            f"mark of shaking that is left after {mark.held_epoch.item()} epochs of weak dropout",
            mark.mean().item(),
            mark.std(ddof=1).item(),
            published=1.0,
            least=HELD,
            digits=".2f",
            why="it fades: networks are slow, and held by nothing",
            about="prediction",
        ),
    ]


def force_findings(gradients: xr.Dataset, driven: xr.Dataset) -> list[Finding]:
    """Ask for the forces of the chain in the gradients of networks.

    How much of the convexity that is left the skewness of gradient noise accounts for; and whether
    the drive follows the gradient's share, over cells of the same slope.
    """
    skewed = force_table(gradients).loc["all"]
    drive = drive_table(gradients, driven.drive).loc["within rows"]
    return [
        Finding(
            "part of the convexity of active networks that skewed noise explains",
            skewed.share,
            (skewed.high - skewed.low) / 2,
            least=0.5,
            digits=".3f",
            null=0.0,
            null_model="symmetric noise",
            why="no source of noise is skewed",
            about="prediction",
        ),
        Finding(
            "rank correlation of the drive with the gradient's share",
            drive.correlation,
            least=0.0,
            digits=".2f",
            why=f"{drive.permutations:.1%} of random pairings do better",
            about="prediction",
        ),
    ]


def chain_against_curves(nulls: xr.Dataset) -> Finding:
    """Count the diagrams, ours and the paper's, in which the chain does better than plain curves.

    On cells that were held out of the fit, of ``results/null_models.nc``.
    """
    verdicts = [
        null_verdict(nulls, networks, source, "chain", _CURVES, "within")
        for networks in NETWORKS
        for source in NOISES
    ]
    return Finding(
        f"diagrams, of {len(verdicts)}, in which the chain beats plain curves",
        float(sum(verdict == "adds" for verdict in verdicts)),
        least=1.0,
        digits=".0f",
        why=f"beaten in {verdicts.count('beaten')}, undecided elsewhere",
        about="prediction",
    )


def order_findings(diagrams: Mapping[str, xr.Dataset], weights: xr.Dataset) -> list[Finding]:
    """Ask whether the order of the phase diagram outlives another measure, and another noise.

    `diagrams` have ``fuzziness_train``; `weights` is ``results/weight_noise.nc``.
    """
    measured = {
        source: by_strength(source, diagram.fuzziness_train) for source, diagram in diagrams.items()
    }
    by_fuzziness = vote_table(measured).xs(DIRECTIONS[1], level=1)
    worst = by_fuzziness.votes.idxmin()
    shaken = weights.rename(weight_noise="noise", negative_slope="slope").separation_train
    by_weights = vote_table({"weights": shaken}).loc["weights"]
    limits: dict[str, Any] = VOTES | {"about": "prediction"}
    rows = {
        f"fuzziness, {NOISES[worst].label}: more nonlinearity, less convex": by_fuzziness.loc[
            worst
        ],
        f"weight noise: {DIRECTIONS[0]}": by_weights.loc[DIRECTIONS[0]],
        f"weight noise: {DIRECTIONS[1]}": by_weights.loc[DIRECTIONS[1]],
    }
    return [_vote(what, row, limits) for what, row in rows.items()]


def language_findings(trained: xr.Dataset, small: xr.Dataset) -> list[Finding]:
    """Ask whether language models bend as the phase diagram has it.

    Of ``results/language.nc`` and ``results/language_training.nc``; lower ends are those of 95 %
    intervals.
    """
    laws, noise = law_table(trained), noise_table(small)
    lower = {knob: noise.low[knob, "at the end"] for knob in ("learning rate", "dropout")}
    rows = {
        f"small language models: more convex with more {knob}, lower end": Finding("", low, least=0)
        for knob, low in lower.items()
    }
    rows[f"kinds of text, of {len(laws)}, on which a trained language model is lazy"] = Finding(
        "", float((laws.high < 0).sum()), least=len(laws), digits=".0f", why="on one D rises"
    )
    rows["permutations in which bend and loss of small language models agree as well"] = Finding(
        "", straightest(small)[1], most=0.05, digits=".0%"
    )
    return [replace(row, what=what, about="prediction") for what, row in rows.items()]


def _vote(what: str, row: pd.Series, limits: dict[str, Any]) -> Finding:
    return Finding(what, row.votes, null=row.chance, null_model="97.5 % of chance", **limits)
