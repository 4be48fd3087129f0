"""The stress map of networks that are dead, idle, collapsed, untrained or have learned noise."""

import re

import numpy as np
import pytest
import torch
from data_parts import parts
from strict_json import strict
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.drawing import stress_map
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.reporting.measured import network_kind
from sbt_utils.reporting.stress_map import StressMap, report
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES = 3
LABELS = torch.arange(60) % CLASSES


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=1000, test=1000)


def findings(stress):
    return [advice.finding for advice in stress.advice]


def tabular(seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(CLASSES, 6, generator=torch.Generator().manual_seed(9))
    return torch.randn(60, 6, generator=generator) + means[LABELS], LABELS


def perceptron(layers=4, norm=False):
    torch.manual_seed(0)
    modules = []
    for _ in range(layers):
        modules += [nn.Linear(6, 6), *[nn.BatchNorm1d(6)] * norm, nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(6, CLASSES))


def assert_shown(stress):
    """Assert that text, page, picture and JSON can be made; return the JSON."""
    assert str(stress).startswith(stress.title)
    assert "<img" in stress._repr_html_()
    stress_map(stress).canvas.draw()
    return strict(stress.to_json())


def kill(layer):
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, -1)


# Without a D ---------------------------------------------------------------------------------


def test_from_a_dead_layer_on_all_are_dead_and_the_rest_of_the_map_stands():
    model = perceptron()
    whole = report(model, tabular(), tabular(1))
    kill(model[4])
    stress = report(model, tabular(), tabular(1))
    assert stress.undefined == {"5": "dead", "7": "dead"}
    assert stress.table.state.tolist()[2:] == ["dead", "dead"]
    for column in ("load", "low", "high", "unseen_load"):
        assert stress.table[column].isna().tolist() == [False, False, True, True]
        np.testing.assert_allclose(stress.table[column][:2], whole.table[column][:2], rtol=1e-12)
    assert stress.advice[0].finding == "dead"
    assert stress.advice[0].layers == ("5", "7")
    assert "\n- Dead. The same comes out of 5, 7 for every input.\n" in str(stress)
    found = assert_shown(stress)
    assert found["layers"] == ["inputs", "1", "3", "5", "7"]
    assert [value is None for value in found["train"]["separation"]] == [False] * 3 + [True] * 2
    assert found["undefined"] == {"5": "dead", "7": "dead"}


def test_rounding_that_a_normalisation_blows_up_wakes_no_dead_layer():
    model = perceptron(norm=True).eval()
    kill(model[4])
    model[4].running_mean.zero_()

    class Jitter(nn.Module):
        def forward(self, x):
            return x + 1e-7 * torch.arange(len(x))[:, None] % 3

    model[5] = nn.Sequential(nn.ReLU(), Jitter())
    with torch.no_grad():
        model[7].weight.fill_(1e6)
    layers = ["2", "5", "8", "11"]
    assert report(model, tabular()).undefined.keys() >= {"8", "11"}
    # Of layers that were asked for, nobody says that one follows from another.
    assert "11" not in report(model, tabular(), layers=layers).undefined


def test_a_network_all_of_whose_layers_are_dead():
    model = perceptron()
    kill(model[0])
    for parts_of_data in ([tabular()], [tabular(), tabular(1)]):
        stress = report(model, *parts_of_data)
        assert stress.train is None
        assert findings(stress) == ["dead"]
        assert set(stress.table.state) == {"dead"}
        assert stress.regime == "unresolved"
        assert stress.images == (60,) * len(parts_of_data)
        found = assert_shown(stress)
        assert set(found["train"]["separation"]) == {None}
        assert (found["test"] is None) == (len(parts_of_data) == 1)
        assert found["train"]["convexity"] is None


def test_inputs_that_are_all_the_same_are_no_fault_of_the_network():
    same, normed = torch.ones(60, 6), nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 6), nn.ReLU())
    message = "^data: all samples are the same"
    for model, start in ((perceptron(), "inputs"), (normed, "0")):
        with pytest.raises(UndefinedSeparation, match=message) as caught:
            report(model, tabular(), (same, LABELS))
        assert caught.value.__notes__ == [f"in layer '{start}'", "in the unseen inputs"]
    with pytest.raises(UndefinedSeparation, match=message):
        report(perceptron(), same, LABELS)
    kill(normed[0])
    assert report(normed, tabular(), tabular(1)).undefined == {"0": "dead", "2": "dead"}


class OneHot(nn.Module):
    def forward(self, x):
        return nn.functional.one_hot(x[:, 0].long(), CLASSES).float()


def test_a_layer_in_which_classes_collapse_is_left_out():
    class Told(nn.Module):
        """Hands the label on, behind features that it does not spoil."""

        def __init__(self):
            super().__init__()
            self.first, self.one_hot, self.last = nn.ReLU(), OneHot(), nn.Tanh()

        def forward(self, x):
            self.first(x[:, 1:])
            self.one_hot(x)
            return self.last(x[:, 1:])

    features, labels = tabular()
    inputs = torch.cat([labels[:, None].float(), features], 1)
    layers = ["first", "one_hot", "last"]
    stress = report(Told(), inputs, labels, layers=layers)
    assert stress.undefined == {"one_hot": "collapsed"}
    assert stress.table.load.isna().tolist() == [False, True, False]
    assert "collapsed" in findings(stress)
    without = report(Told(), inputs, labels, layers=["first", "last"])
    # The load of the layer behind counts from the last one that has a D.
    np.testing.assert_array_equal(stress.train.mean, without.train.mean)
    assert stress.table.load[3] == without.table.load[2]
    assert_shown(stress)


def test_loads_count_from_the_first_layer_that_has_a_d():
    curve = LoadCurve([[3.0, 2.0, 0.5], [3.1, 2.1, 0.6]], layers=("one", "two", "three"))
    stress = StressMap(curve, layers=("in", *curve.layers), undefined={"in": "mixed"})
    assert stress.table.load.tolist() == pytest.approx([np.nan, 1, 1.5], nan_ok=True)
    assert stress.table.share.tolist() == pytest.approx([np.nan, 0.4, 0.6], nan_ok=True)
    assert findings(stress) == ["mixed"]
    assert_shown(stress)


def test_features_that_are_not_finite_are_named():
    inputs, labels = tabular()
    inputs[7, 2] = torch.nan
    with pytest.raises(ValueError, match="sample 7 of batch 0 holds NaN") as caught:
        report(perceptron(), inputs, labels)
    assert caught.value.__notes__ == ["in layer 'inputs'", "in the training inputs"]


@pytest.mark.filterwarnings("ignore:labels. class 3 has 1 sample:UserWarning")
def test_a_class_of_one_sample_is_noted():
    inputs, labels = tabular()
    labels = torch.cat([labels[:-1], torch.tensor([3])])
    stress = report(perceptron(), inputs, labels)
    assert stress.notes == ("classes of one sample in the training inputs, left out: 1",)
    assert (stress.images, stress.classes) == ((59,), (3,))
    assert "Note: classes of one sample" in str(stress)


# With a D, but nothing to do with it ---------------------------------------------------------


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
        nn.init.zeros_(self.branch[2].weight)
        nn.init.zeros_(self.branch[2].bias)

    def forward(self, x):
        return x + self.branch(x)


def test_blocks_that_hand_on_what_they_get_are_idle():
    torch.manual_seed(0)
    model = nn.Sequential(Block(), Block(), Block(), nn.Linear(6, CLASSES))
    stress = report(model, tabular(), tabular(1))
    assert stress.table.state.tolist() == ["idle"] * 3
    assert findings(stress) == ["unresolved", "idle"]
    assert stress.table.share.isna().all()


def test_of_an_untrained_network_nothing_is_said(digits):
    torch.manual_seed(0)
    stress = report(MLP(width=60, hidden_layers=4), *parts(digits))
    assert findings(stress) == ["unresolved"]
    assert stress.table[["share", "unseen_share"]].isna().all(axis=None)
    assert set(stress.table.state) == {""}
    assert stress.regime == "unresolved"
    assert "unresolved (D does not surely fall" in str(stress)
    assert "%" not in str(stress)


# What was learned ----------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.15, 0.3])
def test_a_network_that_half_memorises_random_labels_is_overfitted(digits, fraction):
    (images, labels), on_test = parts(digits)
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(rng.integers(10, size=len(labels)))
    given = torch.where(torch.from_numpy(rng.random(len(labels)) < fraction), drawn, labels)
    settings = {"learning_rate": 3e-3, "epochs": 40, "progress": False}
    network = next(iter(train(MLP(width=60, hidden_layers=4), images, given, **settings).networks))
    with torch.no_grad():
        right = [(network.eval()(x).argmax(1) == y) for x, y in ((images, given), on_test)]
    accuracies = [part.float().mean().item() for part in right]
    assert accuracies[0] > accuracies[1] > 0.65
    stress = report(network, (images, given), on_test)
    (advice,) = (advice for advice in stress.advice if advice.finding == "overfitted")
    assert "look random" in advice.text
    found = int(re.search(r"as if (\d+)%", advice.evidence)[1]) / 100
    assert found == pytest.approx(np.mean((given != labels).numpy()) / 0.9, abs=0.04)


def test_a_network_that_learns_no_random_labels_is_not_overfitted(digits):
    (images, labels), on_test = parts(digits)
    given = torch.where(torch.arange(1000) % 4 == 0, labels[torch.arange(1000) - 10], labels)
    settings = {"learning_rate": 3e-3, "epochs": 15, "progress": False}
    network = next(iter(train(MLP(width=60, hidden_layers=4), images, given, **settings).networks))
    found = findings(report(network, (images, given), on_test))
    assert "noisy labels" in found
    assert "overfitted" not in found


def test_labels_without_any_meaning_are_near_the_floor(digits):
    (images, labels), _ = parts(digits)
    shuffled = labels[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    stress = report(MLP(width=60, hidden_layers=4), images, shuffled)
    (advice,) = (advice for advice in stress.advice if advice.finding == "few samples")
    assert "D of all layers is near that of shuffled labels" in advice.text


# Kinds of network ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (MLP(), "perceptron"),
        (perceptron(norm=True), "perceptron"),
        (CNN(1, channels=4), ""),
        (nn.Sequential(Block(), nn.ReLU()), ""),
        (nn.Sequential(nn.Embedding(5, 5), nn.Linear(5, 5), nn.ReLU()), ""),
        (nn.Sequential(nn.ReLU()), ""),
    ],
)
def test_which_networks_are_perceptrons(model, kind):
    assert network_kind(model) == kind
