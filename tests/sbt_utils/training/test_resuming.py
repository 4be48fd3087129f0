"""Training that is resumed equals training in one go."""

import copy

import numpy as np
import pytest
import torch
from small_training import COMPANY, assert_same_state, fit, network, problem


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved"])
def test_resuming_continues_bit_by_bit(optimizer, saved, tmp_path):
    images, labels = problem()
    members = COMPANY | {"batch_size": [60, 60, 7, 20, 13]}
    common = members | {"optimizer": optimizer}
    whole = fit(network(), images, labels, epochs=7, **common)
    state = fit(network(), images, labels, epochs=3, **common).state
    if saved:
        torch.save(state, tmp_path / "state.pt")
        state = torch.load(tmp_path / "state.pt", weights_only=True)
    before = copy.deepcopy(state)
    rest = fit(network(), images, labels, epochs=7, resume=state, **common)
    assert rest.history.epoch.values.tolist() == [4, 5, 6, 7]
    for m in range(5):
        assert_same_state(rest.state, m, whole.state, m)
        assert_same_state(state, m, before, m)  # the saved state is not written to
    for name in ("loss", "accuracy"):
        np.testing.assert_array_equal(rest.history[name], whole.history[name][:, 3:])
    assert rest.history.epochs.values.tolist() == [7] * 5


@pytest.mark.parametrize("epochs", [2, 3])
def test_resuming_where_nothing_is_left_to_do_changes_nothing(epochs):
    images, labels = problem()
    done = fit(network(), images, labels, seeds=range(2), epochs=3)
    again = fit(network(), images, labels, seeds=range(2), epochs=epochs, resume=done.state)
    for m in range(2):
        assert_same_state(again.state, m, done.state, m)
    assert again.history.epochs.values.tolist() == [3, 3]
    assert len(list(again.networks)) == 2


def test_resuming_with_stopped_members():
    images, labels = problem()
    members = {"seeds": [0, 1, 2], "learning_rate": [1e-3, 1e-30, 1e-2]}
    whole = fit(network(), images, labels, epochs=8, **members)
    begun = fit(network(), images, labels, epochs=4, **members)
    assert begun.state["stopped"].tolist() == [False, True, False]
    rest = fit(network(), images, labels, epochs=8, resume=begun.state, **members)
    for m in range(3):
        assert_same_state(rest.state, m, whole.state, m)
    np.testing.assert_array_equal(rest.history.loss, whole.history.loss[:, 4:])
    # All of them stopped.
    members = {"seeds": [0, 1], "learning_rate": 1e-30}
    begun = fit(network(), images, labels, epochs=4, **members)
    rest = fit(network(), images, labels, epochs=8, resume=begun.state, **members)
    assert rest.history.epochs.values.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": network(width=17)}, "resume holds networks of another architecture"),
        ({"network": network(hidden_layers=3)}, "resume holds networks of another architecture"),
        ({"seeds": range(3)}, "resume holds seeds \\[0, 1\\]"),
        ({"seeds": [0, 2]}, "resume.*seed"),
        ({"optimizer": "momentum"}, "resume holds .* trained with"),
        ({"optimizer": "sgd"}, "resume holds .* trained with"),
        ({"resume": {}}, "resume"),
        ({"resume": {"networks": 3}}, "resume"),
    ],
    ids=["width", "depth", "members", "seeds", "momentum", "sgd", "empty", "foreign"],
)
def test_resuming_from_a_foreign_state(change, message):
    images, labels = problem()
    given = {"network": network(), "seeds": range(2), "epochs": 3}
    state = fit(images=images, labels=labels, model=given.pop("network"), **given).state
    given |= {"resume": state, "epochs": 5} | change
    model = given.pop("network", network())
    with pytest.raises((TypeError, ValueError), match=message):
        fit(model, images, labels, **given)
