"""Data separation by rational arithmetic, to compare with what floating numbers give."""

import math
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

NOISE = 2.0**-44  # of the total standard deviation; less is said to be rounding
_ROUNDING = 2.0**-47  # 64 roundings of float64


@dataclass(frozen=True)
class Exact:
    """D; None where no number is right. How far off rounding may be; whether D may be refused."""

    separation: float | None
    tolerance: float = 0.0
    refusable: bool = False


@dataclass(frozen=True)
class Scatter:
    """Class sizes; class means relative to the mean of all; residuals (N, d); traces of Σw, Σb."""

    sizes: list
    centred: list
    residuals: list
    rows: list
    within: Fraction
    between: Fraction


def scatter(features, labels):
    """Return the scatter of features (N, d), nested lists of finite numbers."""
    samples = [[Fraction(*value.as_integer_ratio()) for value in sample] for sample in features]
    names = sorted(set(labels))
    rows = [names.index(label) for label in labels]
    members = [[x for x, row in zip(samples, rows, strict=True) if row == c] for c in set(rows)]
    means, overall = [_mean(of_one) for of_one in members], _mean(samples)
    residuals = [_minus(x, means[row]) for x, row in zip(samples, rows, strict=True)]
    centred, sizes = [_minus(mean, overall) for mean in means], [len(m) for m in members]
    within = sum(_dot(r, r) for r in residuals) / len(samples)
    between = sum(n * _dot(c, c) for n, c in zip(sizes, centred, strict=True)) / len(samples)
    return Scatter(sizes, centred, residuals, rows, within, between)


def exact_separation(features, labels, measure="trace"):
    """Return D of features (N, d), nested lists of finite numbers.

    Rounding moves a sample by a fraction of the total standard deviation, and D by that over the
    standard deviation between or within the classes, whichever is smaller.
    """
    found = scatter(features, labels)
    total = found.within + found.between
    if not (found.within and found.between):
        return Exact(None)
    with mpmath.workdps(100):
        smaller = real(min(found.within, found.between) / total)
        condition = float(1 / mpmath.sqrt(smaller))
        if measure == "trace" or condition * NOISE >= 1 / 2:
            separation = float(mpmath.log(real(found.within / found.between)))
            return Exact(separation, _ROUNDING * condition, condition * NOISE > 1 / 2)
        return _fuzziness(found, total)


def _fuzziness(found, total):
    """Return D from the eigenvectors of the products of all centred class means."""
    share = [Fraction(size, len(found.rows)) for size in found.sizes]
    root = [mpmath.sqrt(real(part)) for part in share]
    classes = range(len(share))
    products = [[real(_dot(a, b) / total) for b in found.centred] for a in found.centred]
    gram = mpmath.matrix([[root[a] * root[b] * products[a][b] for b in classes] for a in classes])
    squares, vectors = mpmath.eigsy(gram)
    spread = [mpmath.sqrt(max(square, 0)) for square in squares]
    kept = [k for k in classes if spread[k] > NOISE]
    along = [[real(_dot(c, r) / total) for c in found.centred] for r in found.residuals]
    within = sum(
        (mpmath.fsum(vectors[c, k] * root[c] * row[c] for c in classes) / squares[k]) ** 2
        for row in along
        for k in kept
    ) / len(along)
    if within < mpmath.mpf(10) ** -60:
        return Exact(None)
    # A direction is known to a rounding over the spread along it, and divided by it once more.
    steepest = 1 / min(spread[k] for k in kept)
    condition = float(steepest * max(1, steepest / mpmath.sqrt(within)))
    edge = any(NOISE / 4 < one < NOISE * 4 for one in spread) or condition * NOISE > 1 / 8
    return Exact(float(mpmath.log(within)), math.inf if edge else _ROUNDING * condition, edge)


def exact_influence(features, labels):
    """Return the influence of each sample on D, (N,), and what float32 may add to it."""
    found = scatter(features, labels)
    influence, largest = [], 0
    for residual, row in zip(found.residuals, found.rows, strict=True):
        square, along = _dot(residual, residual), _dot(residual, found.centred[row])
        influence.append(float(square / found.within - 2 * along / found.between))
        largest = max(largest, square, _dot(found.centred[row], found.centred[row]))
    rows, influence = np.array(found.rows), np.array(influence)
    for row in range(len(found.sizes)):
        influence[rows == row] -= influence[rows == row].mean()
    return influence, 2.0**-18 * float(largest / min(found.within, found.between))


def real(fraction):
    """Return a fraction as a number of the digits that mpmath works with."""
    return mpmath.mpf(fraction.numerator) / fraction.denominator


def _mean(vectors):
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)]


def _minus(one, other):
    return [a - b for a, b in zip(one, other, strict=True)]


def _dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))
