"""Features, labels and other arrays at random, for the tests in `tests/fuzz`."""

import math

import numpy as np
import torch
from exact_separation import exact_separation
from fuzzing import REFUSED
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
TYPES = ["float64"] * 6 + ["float32", "float16", "bfloat16", "longdouble", ">f8", ">f4", "bool"]
FORMS = {
    "as it is": lambda x: x,
    "in columns": np.asfortranarray,
    "each second": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=-1)[::2, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "of many axes": lambda x: x.reshape(len(x), 1, -1, 1),
    "read-only": lambda x: _read_only(x),
    "a list": lambda x: x.tolist(),
    "a tensor": lambda x: _tensor(x),
    "a turned tensor": lambda x: _tensor(x.T.copy()).T,
    "a tensor with gradients": lambda x: _tensor(x).requires_grad_(x.dtype.kind == "f"),
}


def _read_only(x):
    x.setflags(write=False)
    return x


def _tensor(x):
    return torch.from_numpy(x.astype(x.dtype.newbyteorder("="), copy=True))


def as_type(x, name):
    """Return float64 values in another type, as near as it has them."""
    if name == "bfloat16":
        return torch.from_numpy(x).to(torch.bfloat16)
    if name in INTEGERS:
        limits = np.iinfo(name)
        inside = np.clip(np.nan_to_num(np.rint(x)), float(limits.min), float(limits.max))
        # The largest integer of 64 bits is rounded up to one that is none.
        return np.array([min(int(v), limits.max) for v in inside.flat], name).reshape(x.shape)
    with np.errstate(over="ignore", under="ignore"):
        return x.astype(name)


@st.composite
def problems(draw, types=(*TYPES, *INTEGERS), forms=tuple(FORMS), widths=(1, 5)):
    """Draw features in any make, and their labels: two classes or more, of two samples or more."""
    name = st.integers(0, 9) | st.integers(0, 2**63 - 1)
    names = draw(st.lists(name, min_size=2, max_size=4, unique=True))
    rest = draw(st.lists(st.sampled_from(range(len(names))), max_size=6))
    rows = draw(st.permutations([*range(len(names)), *range(len(names)), *rest]))
    width = draw(st.integers(*widths))
    x = draw(features(rows, len(names), width))
    with np.errstate(over="ignore", under="ignore"):
        x = x * 10.0 ** draw(st.sampled_from([0, 0, 1, 3]) | st.integers(-300, 300))
        x = as_type(x, draw(st.sampled_from(types)))
    if isinstance(x, np.ndarray):
        fit = [form for form in forms if x.dtype != np.longdouble or "tensor" not in form]
        x = FORMS[draw(st.sampled_from(fit))](x)
    labels = [names[row] for row in rows]
    return x, draw(st.sampled_from([list, np.array, torch.tensor]))(labels)


@st.composite
def features(draw, rows, classes, width):
    """Draw features (N, d) whose classes lie apart by much or little along each axis, or another.

    What all have in common may be far larger than what tells them apart.
    """
    cell = st.integers(-3, 3) | st.integers(-999, 999) | st.floats(-1, 1)
    cells = draw(st.sampled_from([st.integers(-3, 3), cell])).map(float)
    power = st.sampled_from([0] * 9 + list(range(1, 18)))

    def table(length, elements):
        lines = st.lists(elements, min_size=length * width, max_size=length * width)
        return np.array(draw(lines), float).reshape(length, width)

    means = table(classes, cells) * 10.0 ** -table(1, power)
    x = means[rows] + table(len(rows), cells) * 10.0 ** -table(1, power)
    if draw(st.booleans()):
        axis = table(1, st.integers(-3, 3).filter(bool))
        x = x - 2 * (x @ axis.T) @ axis / (axis @ axis.T)
    return x + table(1, st.sampled_from([0, 0, 0, 1, 1e4, -1e8, 2**53, 2**60]))


def values(array):
    """Return an array, a tensor or nested lists as lists of all values of each sample."""
    if isinstance(array, np.ndarray) and array.dtype == np.longdouble:
        with np.errstate(over="ignore"):
            array = array.astype(float)
    nested = array if isinstance(array, list) else array.tolist()
    return [np.array(sample, object).ravel().tolist() for sample in nested]


def check(found, features, labels, measure="trace"):
    """Compare D, or a refusal, with rational arithmetic."""
    samples, labels = values(features), np.asarray(labels).tolist()
    every = [value for sample in samples for value in sample]
    large = any(isinstance(value, int) and abs(value) >= 2**53 for value in every)
    if large and found is REFUSED:
        return
    rounded = large and any(type(value) is int and value != float(value) for value in every)
    if rounded or not all(map(math.isfinite, every)):
        assert found is REFUSED
        return
    kept = [row for row, label in enumerate(labels) if labels.count(label) > 1]
    if len(kept) < len(labels):  # a sample alone in its class may be left out
        if found is REFUSED:
            return
        samples, labels = [samples[row] for row in kept], [labels[row] for row in kept]
    exact = exact_separation(samples, labels, measure)
    if found is REFUSED:
        assert exact.separation is None or exact.refusable, exact
    else:
        assert exact.separation is not None, found
        assert abs(found - exact.separation) <= exact.tolerance, exact


TENSORS = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn),
    *(torch.uint8, torch.int8, torch.uint16, torch.int64, torch.uint64, torch.bool),
    *(torch.complex64, torch.complex128),
]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


def tensors(array, dtype):
    return torch.from_numpy(np.asarray(np.clip(np.nan_to_num(array), 0, 99))).to(dtype)


anything = st.one_of(
    hnp.arrays(hnp.scalar_dtypes() | hnp.unicode_string_dtypes(), SHAPES),
    hnp.arrays(np.dtype(object), SHAPES, elements=st.integers() | st.none() | st.floats()),
    hnp.arrays(hnp.floating_dtypes() | hnp.integer_dtypes(), (6, 2)),
    st.builds(tensors, hnp.arrays(np.float64, SHAPES), st.sampled_from(TENSORS)),
    st.recursive(
        st.floats() | st.integers() | st.none() | st.text(max_size=3) | st.booleans(),
        lambda inner: st.lists(inner, max_size=6),
    ),
    st.binary(max_size=3) | st.dictionaries(st.text(max_size=1), st.integers(), max_size=1),
)
