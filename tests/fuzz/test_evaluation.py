"""Networks on arrays at random: measured right, or refused by name."""

import numpy as np
import pytest
import torch
from exact_separation import exact_separation
from fuzzing import REFUSED, answer, tried
from hypothesis import given
from hypothesis import strategies as st
from random_arrays import anything, check, problems, values
from torch import nn

from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve

pytestmark = pytest.mark.usefixtures("one_thread")


@tried(6)
@given(problem=problems(widths=(3, 3)), as_pair=st.booleans())
def test_networks_on_any_inputs(problem, as_pair):
    inputs, labels = problem
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 10)).double()
    before = repr(values(inputs))
    data = [(inputs, labels)] if as_pair else [inputs, labels]
    found = answer(lambda: evaluate(network, *data), "data", "labels", "features")
    assert repr(values(inputs)) == before
    x, rows = torch.tensor(np.array(values(inputs), dtype=float)), np.asarray(labels).tolist()
    if found is REFUSED:
        kind = str(getattr(inputs, "dtype", list))
        right = "float" in kind and max(rows) < 10 and bool(x.isfinite().all())
        assert not right or (as_pair and isinstance(inputs, list))
        return
    with torch.no_grad():
        hidden = network[:3](x)
        logits = network[3](hidden)
    if np.isfinite(found.separation).all():
        for layer, features in enumerate((x, hidden)):
            check(float(found.separation[0, layer]), features, labels)
    else:
        layers = [exact_separation(values(features), rows) for features in (x, hidden)]
        assert any(layer.separation is None or layer.refusable for layer in layers)
    scores = logits.numpy().astype(np.longdouble)
    own = scores[np.arange(len(rows)), rows]
    top = scores.max(1)
    loss = (np.log(np.exp(scores - top[:, None]).sum(1)) + top - own).mean()
    assert float(found.loss[0]) == pytest.approx(float(loss), rel=1e-12)
    others = np.sort(scores, axis=1)[:, -2]
    low, high = np.mean((own == top) & (others < top)), np.mean(own == top)
    assert low <= float(found.accuracy[0]) <= high


@tried(6)
@given(inputs=anything, labels=anything | st.none(), pair=st.booleans())
def test_networks_on_what_may_be_no_inputs(inputs, labels, pair):
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 10))
    data = [(inputs, labels)] if pair else [inputs, labels]

    def measured(measure):
        try:
            return measure(network, *data)
        except RuntimeError as error:  # the model's own, of inputs that do not suit it
            notes = error.__notes__
        assert any("in the model, with inputs of" in note for note in notes)

    for measure in (evaluate, load_curve):
        answer(lambda measure=measure: measured(measure), "data", "labels", "features")
