"""Jerks: how large the changes of a load curve from one epoch to the next are, and by which law.

The power law is fitted to the tail from the threshold on at which it fits best, as Clauset,
Shalizi & Newman do (SIAM Review 51 (2009) 661, arXiv:0706.1062), and held there against an
exponential and a lognormal distribution. Their p-values suppose independent events, which the
changes of one network are not; so likelihoods are compared network by network instead.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import minimize
from scipy.stats import norm

from sbt_book.common.statistics import bootstrap_interval

LEAST_TAIL = 200
"""Events that a tail has at least."""


@dataclass(frozen=True)
class Tail:
    """Laws fitted to the events of at least `threshold`.

    Parameters
    ----------
    threshold : float
    exponent : float
        α of the power law p(s) ~ s^-α.
    distance : float
        Largest distance (Kolmogorov-Smirnov) between the distribution of the tail and the power
        law.
    rate : float
        Of the exponential.
    mu, sigma : float
        Mean and standard deviation of log s of the lognormal, which begins at the threshold.
    """

    threshold: float
    exponent: float
    distance: float
    rate: float
    mu: float
    sigma: float

    def log_densities(self, sizes: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log densities (events,) of sizes in the tail under each law, by its name."""
        logs = np.log(sizes)
        return {
            "power law": np.log((self.exponent - 1) / self.threshold)
            - self.exponent * (logs - np.log(self.threshold)),
            "exponential": np.log(self.rate) - self.rate * (sizes - self.threshold),
            "lognormal": _lognormal(logs, self.mu, self.sigma, np.log(self.threshold)),
        }


def exponent_of(sizes: np.ndarray, threshold: float) -> tuple[float, float]:
    """Return the most likely α of a power law from a threshold on, and its distance.

    Examples
    --------
    >>> sizes = 1 / (1 - np.arange(1000) / 1000)  # quantiles of p(s) = s^-2
    >>> exponent, distance = exponent_of(sizes, 1.0)
    >>> round(exponent, 1), round(distance, 2)
    (2.0, 0.0)
    """
    tail = np.sort(sizes[sizes >= threshold])
    count = len(tail)
    exponent = 1 + count / np.log(tail / threshold).sum()
    cumulated = 1 - (tail / threshold) ** (1 - exponent)
    above, below = np.arange(1, count + 1) / count - cumulated, cumulated - np.arange(count) / count
    return float(exponent), float(max(above.max(), below.max()))


def fit_tail(sizes: np.ndarray) -> Tail:
    """Fit the laws to the tail of some sizes, from where the power law's distance is least.

    Parameters
    ----------
    sizes : ndarray, shape (events,)
        Positive; at least twice `LEAST_TAIL` of them.

    Raises
    ------
    ValueError
        Too few sizes, or some that are not positive.
    """
    sizes = np.asarray(sizes, float)
    if len(sizes) < 2 * LEAST_TAIL or not (sizes > 0).all():
        raise ValueError(f"sizes: give at least {2 * LEAST_TAIL} positive numbers")
    candidates = np.quantile(sizes, np.linspace(0, 1 - LEAST_TAIL / len(sizes), 60))
    fits = [(*exponent_of(sizes, threshold), threshold) for threshold in candidates]
    exponent, distance, threshold = min(fits, key=lambda fit: fit[1])
    tail = sizes[sizes >= threshold]
    logs, least = np.log(tail), np.log(threshold)
    best = minimize(
        lambda at: -_lognormal(logs, at[0], np.exp(at[1]), least).mean(),
        (logs.mean(), np.log(logs.std())),
        method="Nelder-Mead",
    )
    rate = 1 / (tail.mean() - threshold)
    return Tail(float(threshold), exponent, distance, float(rate), best.x[0], np.exp(best.x[1]))


def advantage(tail: Tail, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean log-likelihood per event that the power law has over each other law.

    Parameters
    ----------
    sizes : ndarray, shape (members, events)
        A row for each network or chain.

    Returns
    -------
    dict of str to ndarray, shape (members,)
        Positive where the power law is more likely.
    """
    rows: dict[str, list[float]] = {"exponential": [], "lognormal": []}
    for member in sizes:
        densities = tail.log_densities(member[member >= tail.threshold])
        for law, values in rows.items():
            values.append(float((densities["power law"] - densities[law]).mean()))
    return {law: np.array(values) for law, values in rows.items()}


def changes(separation: np.ndarray) -> np.ndarray:
    """Return the sizes of the jerks of load curves.

    Parameters
    ----------
    separation : ndarray, shape (members, epochs, L + 1)
        D_l.

    Returns
    -------
    ndarray, shape (members, L (epochs - 1))
        |ΔD_l| from epoch to epoch of the layers from 1 on, each over its mean in that member, so
        that layers that move more weigh no more; changes of exactly zero are nan.
    """
    steps = np.abs(np.diff(separation[..., 1:], axis=1))
    mean = steps.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        relative = np.where(steps > 0, steps / mean, np.nan)
    return relative.reshape(len(relative), -1)


def slips(positions: np.ndarray) -> np.ndarray:
    """Return how far blocks go from one rest to the next, (events,), pooled over blocks.

    Parameters
    ----------
    positions : ndarray, shape (steps, blocks)
        After every step. A slip is a row of steps in which the block moves in one direction; those
        that have begun before the first step, or are under way at the last, are left out.
    """
    sizes = []
    for steps in np.diff(positions, axis=0).T:
        direction = np.sign(steps)
        starts = np.flatnonzero(np.diff(direction, prepend=direction[0]))
        sums = np.add.reduceat(steps, starts) if len(starts) else np.empty(0)
        sizes.append(np.abs(sums[:-1]))
    pooled = np.concatenate(sizes)
    return pooled[pooled > 0]


def event_sizes(found: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the sizes of all kinds of jerks, (members, events), by what they are; some are nan."""
    kinds = {
        f"networks, dropout {dropout:g}": changes(found.read.sel(dropout=dropout).values)
        for dropout in found.dropout.values
    }
    for noise in found.noise.values[1:]:  # without noise blocks come to rest for good
        states = found.chain_read.sel(noise=noise).transpose("seed", "epoch", "block")
        kinds[f"chains, noise {noise:g}"] = changes(
            np.pad(states.values, ((0, 0),) * 2 + ((1, 0),))
        )
    for noise in found.noise.values[1:]:
        slip = found.chain_slip.sel(noise=noise).transpose("seed", "slip").values
        kinds[f"chains, noise {noise:g}, slips"] = slip / np.nanmean(slip)
    return kinds


def jerk_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the fits of all kinds of jerks, with intervals over members, and the verdicts."""
    rows = []
    for name, sizes in event_sizes(found).items():
        pooled = sizes[np.isfinite(sizes)]
        tail = fit_tail(pooled)
        gains = advantage(tail, sizes)
        ranges = {law: bootstrap_interval(values) for law, values in gains.items()}
        span = float(pooled.max() / tail.threshold)
        if span >= 10 and all(low > 0 for low, _ in ranges.values()):
            verdict = "a power law"
        else:
            verdict = "none" if any(high < 0 for _, high in ranges.values()) else "undecided"
        rows.append(
            {
                "what": name,
                "threshold": tail.threshold,
                "share": float((pooled >= tail.threshold).mean()),
                "exponent": tail.exponent,
                "distance": tail.distance,
                "span": span,
                "exponential": float(gains["exponential"].mean()),
                "exponential_range": ranges["exponential"],
                "lognormal": float(gains["lognormal"].mean()),
                "lognormal_range": ranges["lognormal"],
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows)


def _lognormal(logs: np.ndarray, mu: float, sigma: float, least: float) -> np.ndarray:
    """Return the log density of a lognormal law from a threshold on."""
    return norm.logpdf(logs, mu, sigma) - logs - norm.logsf(least, mu, sigma)
