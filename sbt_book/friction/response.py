"""How a layer responds to a push: in proportion, or from a threshold on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import bootstrap_interval

THRESHOLDS = 101
"""How many thresholds are tried to each side, from none to the strongest force."""

LEAST_WIDTH = 0.1
"""Of the strongest force: what the width of the thresholds must exceed to count."""


@dataclass(frozen=True)
class Thresholds:
    """A response m S(λ) with S the soft threshold between -left and right.

    Parameters
    ----------
    right, left : ndarray, shape (...)
        Not negative.
    mobility : ndarray, shape (...)
        m.
    """

    right: np.ndarray
    left: np.ndarray
    mobility: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """The range of forces without a response."""
        return self.right + self.left

    def compliance(self, forces: np.ndarray) -> np.ndarray:
        """Return the response over the force, shape (..., forces)."""
        sides = np.where(forces > 0, self.right[..., None], self.left[..., None])
        return self.mobility[..., None] * np.maximum(1 - sides / np.abs(forces), 0.0)


def fit_thresholds(forces: np.ndarray, responses: np.ndarray) -> Thresholds:
    """Fit two thresholds and a mobility by least squares of the response over the force.

    Over the force, because responses to forces a factor of 30 apart would otherwise be those to the
    strongest alone. All pairs of `THRESHOLDS` are tried, each with its best mobility.

    Parameters
    ----------
    forces : ndarray, shape (forces,)
        Of both signs.
    responses : ndarray, shape (..., forces)

    Examples
    --------
    >>> forces = np.array([-0.1, -0.03, 0.03, 0.1])
    >>> fit = fit_thresholds(forces, np.array([-0.1, 0.0, 0.04, 0.18]))
    >>> [round(float(value), 2) for value in (fit.left, fit.right, fit.mobility)]
    [0.05, 0.01, 2.0]
    """
    compliance = responses / forces
    tried = np.linspace(0, np.abs(forces).max(), THRESHOLDS)
    factors = np.maximum(1 - tried[:, None] / np.abs(forces), 0.0)
    sides = [np.where(side, factors, 0.0) for side in (forces > 0, forces < 0)]
    products = [compliance @ side.T for side in sides]  # (..., thresholds)
    squares = [(side**2).sum(1) for side in sides]
    product = products[0][..., :, None] + products[1][..., None, :]
    square = squares[0][:, None] + squares[1]
    # What the best mobility, product / square, takes off the sum of squares.
    gain = np.divide(product**2, square, out=np.zeros_like(product), where=square > 0)
    best = gain.reshape(*gain.shape[:-2], -1).argmax(-1)
    right, left = np.unravel_index(best, square.shape)
    chosen = np.take_along_axis(product.reshape(*gain.shape[:-2], -1), best[..., None], -1)[..., 0]
    mobility = chosen / np.maximum(square[right, left], 1e-12)
    return Thresholds(tried[right], tried[left], mobility)


def exponents(forces: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Return p of a response that grows as |λ|^p, the mean over both signs, shape (...).

    Infinite where a force has no response in its direction.

    Examples
    --------
    >>> forces = np.array([-0.1, -0.01, 0.01, 0.1])
    >>> round(float(exponents(forces, forces**3)), 2)
    3.0
    """
    slopes = []
    for sign in (-1, 1):
        side = np.sign(forces) == sign
        logs = np.log(np.abs(forces[side]))
        along = sign * responses[..., side]
        moved = np.asarray((along > 0).all(-1))
        heights = np.log(np.where(moved[..., None], along, 1.0))
        centred = logs - logs.mean()
        slopes.append(np.where(moved, heights @ centred / (centred**2).sum(), np.inf))
    return np.mean(slopes, axis=0)


def held_out_errors(forces: np.ndarray, responses: np.ndarray) -> tuple[float, float]:
    """Return how far off thresholds and the proportion are for members left out of the fit.

    Parameters
    ----------
    responses : ndarray, shape (members, forces)

    Returns
    -------
    (float, float)
        Root mean square of the error of the response over the force, for members left out one by
        one; of a fit with thresholds, and of one without.
    """
    errors = []
    for member, left_out in enumerate(responses):
        others = np.delete(responses, member, 0).mean(0)
        with_ = fit_thresholds(forces, others).compliance(forces)
        errors.append(
            [(left_out / forces - model) ** 2 for model in (with_, (others / forces).mean())]
        )
    both = np.sqrt(np.mean(errors, axis=(0, 2)))
    return float(both[0]), float(both[1])


def judged(forces: np.ndarray, responses: np.ndarray) -> dict[str, object]:
    """Return widths, exponents and errors of members (members, forces), and the verdict.

    The verdict is ``"sticks"``, ``"creeps"`` or ``"undecided"``, by the criterion of the chapter.
    """
    widths = fit_thresholds(forces, responses).width
    powers = exponents(forces, responses)
    with_, without = held_out_errors(forces, responses)
    least = LEAST_WIDTH * np.abs(forces).max()
    low, high = bootstrap_interval(widths)
    finite = bool(np.isfinite(powers).all())
    power_range = bootstrap_interval(powers) if finite else (np.inf, np.inf)
    if low > least and with_ < without:
        verdict = "sticks"
    elif high < least and power_range[0] > 0.9 and power_range[1] < 1.1:
        verdict = "creeps"
    else:
        verdict = "undecided"
    return {
        "width": float(widths.mean()),
        "width_range": (low, high),
        "exponent": float(powers.mean()),
        "exponent_range": power_range,
        "errors": (with_, without),
        "verdict": verdict,
    }


def responses(found: xr.Dataset, kind: str) -> xr.DataArray:
    """Return how far layer or block l gives, (slope, noise, seed, force).

    `kind` is ``"networks"``, whose noise is dropout, or ``"chains"``.
    """
    if kind == "chains":
        return found.chain_pushed
    return found.pushed.isel(layer=4).rename(dropout="noise")


def push_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the verdicts on networks and chains, a row for each slope and noise."""
    rows = []
    for kind, name in (("networks", "network"), ("chains", "chain")):
        pushed = responses(found, kind)
        for slope in pushed.slope.values:
            for noise in pushed.noise.values:
                cell = pushed.sel(slope=slope, noise=noise).transpose("seed", "force")
                rows.append(
                    {"kind": name, "slope": slope, "noise": noise}
                    | judged(cell.force.values, cell.values)
                )
    return pd.DataFrame(rows)


def mobility_ratio(
    found: xr.Dataset, upper: dict[str, float], lower: dict[str, float]
) -> np.ndarray:
    """Return the ratio of two kinds' mobilities under plain gradient descent, (seed,).

    `upper` and `lower` select a ``slope`` and a ``dropout``.
    """
    descended = found.descended.isel(layer=4)
    return (descended.sel(upper) / descended.sel(lower, drop=True)).values
