"""Load curves of models against features from a plain forward pass, and the model left alone."""

import copy
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from models import Broken, Wordy, fingerprint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sbt_utils.measuring.curves import MEASURES
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.measuring.separation import data_separation
from sbt_utils.measuring.stacked import row_of
from sbt_utils.models.layer_choice import choose
from sbt_utils.training.networks import CNN, MLP


def labelled():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    return torch.randn(60, 6, generator=generator) + labels[:, None], labels


@pytest.fixture
def data():
    return labelled()


def mlp(dropout=0.3):
    torch.manual_seed(1)
    layers = [nn.BatchNorm1d(6)]
    for width in (6, 8, 8):
        layers += [nn.Linear(width, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
    model = nn.Sequential(*layers, nn.Linear(8, 3))
    for _ in range(3):  # running statistics other than the initial ones
        model(torch.randn(20, 6) * 2 + 1)
    return model


def plain(model, images, stops, labels, measure="trace"):
    """Features of a sequential model by hand: its outputs after the modules of these indices."""
    model = copy.deepcopy(model).eval()
    curve, h = [], images
    with torch.no_grad():
        for i, module in enumerate(model):
            h = module(h)
            if i in stops:
                curve.append(data_separation(h, labels, measure))
    return np.array(curve)


@pytest.mark.parametrize("batch_size", [7, 60, 512])
def test_equals_a_plain_forward_pass(data, measure, batch_size):
    images, labels = data
    model = mlp()
    curve = load_curve(model, images, labels, measure=measure, batch_size=batch_size)
    # l = 0 after the input batch norm, then after each activation, before its dropout; no logits
    assert curve.layers == ("0", "3", "7", "11")
    assert curve.measure == measure
    expected = plain(model, images, (0, 3, 7, 11), labels, measure)
    # float32 features of differently sized batches agree to rounding
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)
    double = load_curve(model.double(), images.double(), labels, None, measure, batch_size)
    expected = plain(model, images.double(), (0, 3, 7, 11), labels, measure)
    np.testing.assert_allclose(double.separation, expected, rtol=1e-11)


def test_measures_the_images_where_no_normalisation_comes_first(data):
    images, labels = data
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh())
    curve = load_curve(model, images.reshape(60, 2, 3), labels)
    assert curve.layers == ("inputs", "3")
    assert curve.separation[0] == pytest.approx(data_separation(images, labels))


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm1d(6), nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.RMSNorm(6)]
)
def test_input_normalisation_is_found_behind_layers_that_pass_the_input_on(data, norm):
    images, labels = data
    model = nn.Sequential(nn.Identity(), nn.Dropout(0.5), nn.Flatten(), norm, nn.Linear(6, 5))
    model.append(nn.ReLU())
    curve = load_curve(model, images, labels)
    assert curve.layers == ("3", "5")
    np.testing.assert_allclose(curve.separation, plain(model, images, (3, 5), labels), rtol=1e-5)


def test_input_normalisation_that_is_chosen_as_well_counts_once(data):
    curve = load_curve(mlp(), *data, layers=nn.BatchNorm1d)
    assert curve.layers == ("0", "2", "6", "10")


def test_layers_ahead_of_the_input_normalisation_come_after_it_in_the_curve(data):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 5))
    assert load_curve(model, *data, layers=["0", "2"]).layers == ("1", "0", "2")


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (["5", "1"], ("0", "1", "5")),
        ("9", ("0", "9")),
        (nn.Linear, ("0", "1", "5", "9", "13")),
        ([nn.LeakyReLU, "13"], ("0", "3", "7", "11", "13")),
        (lambda name, module: isinstance(module, nn.Dropout) and name > "4", ("0", "8")),
    ],
)
def test_layers_by_name_type_and_function(data, layers, names):
    images, labels = data
    model = mlp()
    curve = load_curve(model, images, labels, layers=layers)
    assert curve.layers == names
    stops = [int(name) for name in names]
    np.testing.assert_allclose(curve.separation, plain(model, images, stops, labels), rtol=1e-5)


class Branching(nn.Module):
    """Registers its layers in another order than it runs them, and runs one of them twice."""

    def __init__(self):
        super().__init__()
        self.last = nn.GELU()
        self.act = nn.ReLU(inplace=True)
        self.wide = nn.Linear(6, 6)
        self.unused = nn.SiLU()
        self.pair = Pair()

    def forward(self, x):
        x = self.act(self.wide(x))
        x = self.act(self.wide(x) - 0.5)
        x += 1  # in place, after the measurement
        return self.last(self.pair(x)["features"][1])


class Pair(nn.Module):
    def forward(self, x):
        return {"count": len(x), "features": (torch.arange(len(x)), 2 * x, x)}


def test_order_of_execution_repeated_layers_nested_outputs(data):
    images, labels = data
    torch.manual_seed(3)
    model = Branching()
    del model.unused
    curve = load_curve(
        model, images, labels, layers=lambda name, m: name in ("act", "last", "pair")
    )
    assert curve.layers == ("inputs", "act", "act#2", "pair", "last")
    with torch.no_grad():
        first = torch.relu(model.wide(images))
        second = torch.relu(model.wide(first) - 0.5)
        features = [images, first, second, second + 1, nn.functional.gelu(2 * second + 2)]
    expected = [data_separation(h, labels) for h in features]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)


def test_layers_that_never_run_are_named(data):
    model = Branching()
    kinds = (nn.ReLU, nn.SiLU, nn.GELU)
    with pytest.warns(UserWarning, match="never calls unused; left out of the load curve"):
        assert load_curve(model, *data, kinds).layers == ("inputs", "act", "act#2", "last")
    assert load_curve(model, *data).layers == ("inputs", "act", "act#2", "last")
    with pytest.raises(ValueError, match="never calls unused, nor any other chosen layer"):
        load_curve(model, *data, layers="unused")


def test_a_shared_activation_goes_by_its_first_name(data):
    act = nn.ReLU()
    model = nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 5), act)
    assert load_curve(model, *data).layers == ("inputs", "1", "1#2")
    assert load_curve(model, *data, layers=["3"]).layers == ("inputs", "1", "1#2")


def test_a_loader_gives_the_same_as_tensors(data, measure):
    images, labels = data
    model = mlp()
    expected = load_curve(model, images, labels, measure=measure).separation
    loader = DataLoader(TensorDataset(images, labels), batch_size=17)
    curve = load_curve(model, loader, measure=measure)
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)
    for same in ([(images.numpy(), labels.tolist())], (images, labels), [images, labels.tolist()]):
        np.testing.assert_allclose(
            load_curve(model, same, measure=measure).separation, expected, rtol=1e-5
        )


def test_an_iterator_is_read_once(data):
    images, labels = data
    model = mlp()
    batches = list(zip(images.split(20), labels.split(20), strict=True))
    expected = load_curve(model, batches).separation
    np.testing.assert_array_equal(load_curve(model, iter(batches)).separation, expected)
    with pytest.raises(TypeError, match="'fuzziness' reads it twice; give a DataLoader"):
        load_curve(model, iter(batches), measure="fuzziness")


class Halved(nn.Module):
    def forward(self, x):
        return x / 2


def test_arrays_and_dtypes(data):
    images, labels = data
    model = mlp()
    expected = load_curve(model, images, labels).separation
    frozen = images.double().numpy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(load_curve(model, frozen, labels.numpy()).separation, expected)
    np.testing.assert_array_equal(load_curve(model, frozen, labels.tolist()).separation, expected)
    half = load_curve(model.bfloat16(), images, labels)
    np.testing.assert_allclose(half.separation, expected, atol=0.05)
    whole = (images * 10).abs().long()
    curve = load_curve(nn.Sequential(Halved(), nn.ReLU()), whole, labels)
    assert curve.separation[0] == data_separation(whole, labels)


@pytest.mark.gpu
def test_images_move_to_the_device_of_the_model(data):
    expected = load_curve(mlp(), *data, measure="fuzziness").separation
    curve = load_curve(mlp().cuda(), *data, measure="fuzziness")
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-4)


# Embeddings, blocks and pooled features


class Sentences(nn.Module):
    """Embeds words and, ahead of them or after, their positions."""

    def __init__(self, positions_first):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.positions = nn.Embedding(60, 4), nn.Embedding(6, 4)
        self.positions_first, self.act = positions_first, nn.ReLU()

    def forward(self, x):
        places = torch.arange(x.shape[1])
        if self.positions_first:
            return self.act(self.positions(places) + self.words(x))
        return self.act(self.words(x) + self.positions(places))


def test_an_embedding_of_the_input_is_where_the_curve_starts(data):
    images, labels = data
    words = (images * 4 + 15).long()
    model = Sentences(positions_first=False)
    curve = load_curve(model, words, labels, pool=lambda h: h.mean(1))
    assert curve.layers == ("words", "act")
    with torch.no_grad():
        features = model.words(words).mean(1)
        places = model.positions.weight
        deeper = torch.relu(model.words(words) + places).mean(1)
    expected = [data_separation(features, labels), data_separation(deeper, labels)]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-6)
    assert load_curve(model, words, labels).separation[0] == pytest.approx(
        data_separation(model.words(words), labels)
    )
    # Positions are no embedding of the input: all sentences have the same.
    curve = load_curve(Sentences(positions_first=True), words, labels)
    assert curve.layers == ("words", "act")


class Residual(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.branch, self.act = nn.Linear(6, 6), act

    def forward(self, x):
        return x + self.act(self.branch(x))


def test_repeated_blocks_are_measured_where_there_are_some(data, measure):
    images, labels = data
    torch.manual_seed(0)
    act = nn.ReLU()  # one for all
    stem = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    stage = nn.Sequential(Residual(act), Residual(act))
    model = nn.Sequential(OrderedDict(stem=stem, stage=stage, last=Residual(act)))
    curve = load_curve(model, images, labels, measure=measure)
    assert curve.layers == ("inputs", "stage.0", "stage.1", "last")
    with torch.no_grad():
        trunk = [images, model.stem(images)]
        for block in (*model.stage, model.last):
            trunk.append(block(trunk[-1]))
    expected = [data_separation(h, labels, measure) for h in (images, *trunk[2:])]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)
    assert load_curve(model, images, labels, nn.ReLU).layers[1:] == (
        *("stem.1", "stage.0.act", "stage.0.act#2", "stage.0.act#3"),
    )


def test_blocks_inside_of_stages_are_measured(data):
    class Stage(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleList([Residual(nn.ReLU()), Residual(nn.ReLU())])

        def forward(self, x):
            return self.inner[1](self.inner[0](x))

    curve = load_curve(nn.Sequential(Stage(), nn.Sequential(nn.Tanh()), Stage()), *data)
    assert curve.layers == ("inputs", "0.inner.0", "0.inner.1", "2.inner.0", "2.inner.1")


def test_one_block_alone_leaves_the_activations_of_the_trunk(data):
    model = nn.Sequential(Residual(nn.ReLU()), nn.Sequential(nn.Linear(6, 5), nn.Tanh()))
    assert load_curve(model, *data).layers == ("inputs", "1.1")


def test_attention_and_parametrised_layers_are_no_blocks(data):
    weight_norm = nn.utils.parametrizations.weight_norm
    model = nn.Sequential(
        *(weight_norm(nn.Linear(6, 6)), nn.ReLU(), weight_norm(nn.Linear(6, 6)), nn.ReLU())
    )
    assert load_curve(model, *data).layers == ("inputs", "1", "3")
    assert list(
        choose(nn.ModuleList([nn.MultiheadAttention(4, 1)] * 2 + [nn.ReLU()])).values()
    ) == ["2"]


def test_pooled_features(data):
    images, labels = data
    model = nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Linear(3, 4), nn.Tanh())
    with torch.no_grad():
        features = model(images)
    for pool in (lambda h: h[:, 0], lambda h: h.mean(1), lambda h: h.flatten(1)):
        curve = load_curve(model, images, labels, pool=pool)
        expected = [data_separation(h, labels) for h in (images, pool(features))]
        np.testing.assert_allclose(curve.separation, expected, rtol=1e-6)


# The model is left as it was found


@pytest.mark.parametrize("fault", [None, "forward", "statistics", "loader"])
def test_the_model_is_left_as_it_was(data, fault):
    images, labels = data
    model = mlp()
    model(images).sum().backward()
    model[4].eval()  # a mixture of modes
    model[1].weight.requires_grad_(False)
    heard = []
    model[3].register_forward_hook(lambda *_: heard.append("after"))
    model[5].register_forward_pre_hook(lambda *_: heard.append("before"))
    batches = [(images, labels)]
    if fault == "forward":
        model.append(Broken())
    elif fault == "statistics":
        batches = [(images, -labels)]
    elif fault == "loader":
        batches = [(images, labels), None]
    found = fingerprint(model)
    grad_mode = torch.is_grad_enabled()
    before = images.clone()
    if fault is None:
        load_curve(model, batches, measure="fuzziness")
        assert heard == ["after", "before"] * 2  # a row of stock layers needs no look
    else:
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            load_curve(model, batches)
    assert fingerprint(model) == found
    assert torch.is_grad_enabled() == grad_mode
    assert torch.equal(images, before)


def test_a_model_that_works_in_place_leaves_the_images_alone(data):
    images, labels = data
    before = images.clone()
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 4), nn.ReLU(inplace=True))
    curve = load_curve(model, images, labels)
    assert torch.equal(images, before)
    assert curve.separation[0] == pytest.approx(data_separation(before, labels))


class Guarded(nn.Sequential):
    def train(self, mode=True):
        raise AssertionError("the probe sets the flags, it does not call train or eval")


def test_modes_are_set_without_the_side_effects_of_a_model(data):
    model = Guarded(nn.Dropout(0.9), nn.Linear(6, 4), nn.ReLU())
    first, second = (load_curve(model, *data).separation for _ in range(2))
    np.testing.assert_array_equal(first, second)  # no dropout
    assert model.training
    assert model[0].training


# Bad input


class Fickle(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        x = self.act(self.linear(x))
        return self.act(x - 0.1) if len(x) > 20 else x


def test_a_layer_that_runs_a_varying_number_of_times(data, measure):
    images, labels = data
    with pytest.raises(ValueError, match="'act': does not run equally often for all batches"):
        load_curve(Fickle(), images, labels, measure=measure, batch_size=45)
    batches = [(images[:18], labels[:18]), (images, labels)]
    with pytest.raises(ValueError, match="'act': does not run equally often for all batches"):
        load_curve(Fickle(), batches, measure=measure)


def linear():
    return nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (linear(), {}, ValueError, "no activation that everything passes through; its layers are"),
        (linear(), {"layers": ["fc1"]}, ValueError, "no layer 'fc1'; its layers are BatchNorm1d"),
        (linear(), {"layers": nn.Conv2d}, ValueError, "has no layer for .*Conv2d.*; its layers"),
        (linear(), {"layers": lambda n, m: False}, ValueError, "has no layer for .*lambda"),
        (linear(), {"layers": [3]}, TypeError, r"layers: \[3\] given; give names, module types"),
        (linear(), {"measure": "trac"}, ValueError, "measure: 'trac' is unknown"),
        (linear(), {"layers": "0", "batch_size": 0}, ValueError, "batch_size: 0 given; give an"),
        (linear(), {"layers": "0", "batch_size": 2.0}, ValueError, "batch_size: 2.0 given; give"),
        (nn.Sequential(nn.LayerNorm(6)), {"layers": "0"}, ValueError, "'0' alone is l = 0"),
        (nn.Sequential(nn.LazyLinear(3), nn.ReLU()), {}, ValueError, "lazy parameters"),
        (len, {}, TypeError, "model: builtin_function_or_method given; give a torch.nn.Module"),
        (nn.Sequential(Wordy()), {"layers": "0"}, TypeError, "layer '0': no floating tensor in"),
    ],
)
def test_bad_models_and_choices(data, model, options, error, message):
    with pytest.raises(error, match=message):
        load_curve(model, *data, **options)


def test_errors_of_the_statistics_keep_their_type_and_note_the_layer(data):
    images, labels = data
    dead = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
    with torch.no_grad():
        dead[2].weight.zero_()

    def fails(message, model, *arguments, error=ValueError, layer, **options):
        with pytest.raises(error, match=message) as caught:
            load_curve(model, *arguments, **options)
        assert caught.value.__notes__ == [f"in layer {layer!r}"]
        assert caught.traceback[-1].path.name in ("scatter.py", "samples.py")  # where it was raised

    for measure in MEASURES:
        message = "^features: zero variance between"
        arguments = dead, images, labels
        fails(message, *arguments, measure=measure, layer="3", error=UndefinedSeparation)
    spoilt = images.clone()
    spoilt[33, 2] = torch.nan
    fails(r"^features: sample 33 .* NaN", dead, spoilt, labels, layer="inputs")
    fails("^labels: one class only", dead, images, torch.zeros_like(labels), layer="inputs")
    with torch.no_grad():
        dead[0].weight.fill_(torch.inf)
    fails(r"^features: sample 0 .* NaN or infinite", dead, images, labels, layer="1")
    folded = nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten(0, 1), nn.Linear(3, 3), nn.ReLU())
    fails(r"^labels: shape \(60,\) does not match .*120", folded, images, labels, layer="3")


def test_errors_of_a_pool_keep_their_type_and_note_the_layer(data):
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    with pytest.raises(IndexError) as caught:
        load_curve(model, *data, pool=lambda h: h[:, 0, 0])
    assert caught.value.__notes__ == [
        "in pool, on layer '1' with features (60, 5); make it suit them"
    ]


X, Y = labelled()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X,), TypeError, "labels: None given; inputs in an array need labels"),
        ((X, Y[1:]), ValueError, r"labels: shape \(59,\) does not match inputs of shape"),
        (([(X, Y)], Y), TypeError, "data: list given beside labels; give a tensor or an arr"),
        (((X, Y), Y), TypeError, "labels: given twice, also in data; leave one of them out"),
        (((X, Y, Y),), ValueError, r"data: 3 parts given; give \(inputs, labels\)"),
        ((3,), TypeError, r"data: int given; give \(inputs, labels\) or a loader"),
        ((iter([X]),), TypeError, r"data: a batch is Tensor; yield \(inputs, labels\)"),
        (([(None, Y)],), TypeError, r"data: a batch holds NoneType without any tensor; yield"),
        (([],), ValueError, "data: the loader yields no batch"),
        ((X[:0], Y[:0]), ValueError, "data: the loader yields no batch"),
    ],
)
def test_bad_data(arguments, error, message):
    with pytest.raises(error, match=message):
        load_curve(mlp(), *arguments)


def test_nothing_is_warned_about_in_a_good_run(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_curve(mlp(), *data, measure="fuzziness")


# Rows of stock layers, which need no look ----------------------------------------------------


ROWS = {
    "norm first": nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36), nn.Linear(36, 4), nn.ReLU()),
    "norm later": nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.BatchNorm1d(4), nn.ReLU()),
    "MLP": MLP(36, width=5, hidden_layers=3),
    "CNN": CNN(inputs=1, channels=2),
    "nested": nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Dropout(), nn.ReLU()),
}


@pytest.mark.parametrize("layers", [None, nn.ReLU, nn.LeakyReLU, "3", lambda name, module: True])
@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_stock_layers_are_measured_as_if_looked_at(kind, layers, monkeypatch):
    images = torch.randn(12, 1, 10 if kind == "CNN" else 6, 10 if kind == "CNN" else 6)
    arguments = ROWS[kind], images, torch.arange(12) % 2, layers
    assert row_of(ROWS[kind])
    found = [outcome(*arguments)]
    monkeypatch.setattr("sbt_utils.measuring.probing.row_of", lambda model: [])
    found.append(outcome(*arguments))
    assert found[0] == found[1]


def outcome(*arguments):
    try:
        curve = load_curve(*arguments)
    except ValueError as error:
        return str(error)
    return curve.layers, curve.separation.tolist()


@pytest.mark.parametrize("place", ["1", "1.0", "0.1"])
def test_hooks_of_a_row_of_layers_run_also_where_it_is_watched_without_hooks(data, place):
    def row():
        torch.manual_seed(0)
        parts = (nn.Sequential(nn.Linear(6, 5), nn.ReLU()) for _ in range(1))
        return nn.Sequential(*parts, nn.Sequential(nn.Linear(5, 4), nn.ReLU()), nn.Linear(4, 3))

    model, doubled = row(), row()
    model.get_submodule(place).register_forward_hook(lambda module, args, output: 2 * output)
    scaled = doubled.get_submodule("1.0" if place == "1" else place)
    if place == "0.1":  # after the ReLU, which the layer after it sees
        doubled[1][0].weight.data *= 2
    else:
        scaled.weight.data *= 2
        scaled.bias.data *= 2
    found = load_curve(model, *data).separation
    np.testing.assert_allclose(found, load_curve(doubled, *data).separation, rtol=1e-6)
    assert "forward" not in vars(model)


def test_a_row_is_as_before_also_when_a_layer_fails(data):
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(4, 3), nn.ReLU())
    with pytest.raises(RuntimeError):
        load_curve(model, *data)
    assert "forward" not in vars(model)
    with pytest.raises(RuntimeError):
        model(data[0])


def test_a_row_without_hooks_has_the_curve_of_one_with_hooks(data):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 5), nn.ReLU(), nn.Dropout())
    sooner = load_curve(model, *data)
    vars(model)["forward"] = lambda x: nn.Sequential.forward(model, x)  # so that it is hooked
    hooked = load_curve(model, *data)
    assert sooner.layers == hooked.layers == ("1", "3")
    np.testing.assert_array_equal(sooner.separation, hooked.separation)
