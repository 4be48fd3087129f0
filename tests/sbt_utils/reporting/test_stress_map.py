"""The stress map of networks with planted faults, of common architectures, and of bad input."""

import re
from collections import OrderedDict

import numpy as np
import pytest
import torch
from data_parts import parts
from models import Wordy, fingerprint
from strict_json import strict
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import StressMap, report
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=1000, test=1000)


def trained(images, labels, dropout=0.0):
    network = MLP(width=60, hidden_layers=4)
    settings = {"dropout": dropout, "learning_rate": 3e-3, "epochs": 60, "progress": False}
    return next(iter(train(network, images, labels, **settings).networks))


@pytest.fixture(scope="module")
def healthy(digits):
    return trained(*parts(digits)[0], dropout=0.08)


def findings(stress):
    return [advice.finding for advice in stress.advice]


# Planted faults ------------------------------------------------------------------------------


def test_a_healthy_network_has_a_clean_bill(healthy, digits):
    stress = report(healthy, *parts(digits))
    assert stress.advice == ()
    assert stress.regime == "equiseparated"
    assert set(stress.table.state) == {""}
    assert str(stress) == repr(stress)  # what a notebook shows
    assert "\n\nNothing stands out.\n\n" in str(stress)


def with_identity_layers(network):
    """Put three layers that hand on what they get behind the second hidden layer."""
    layers = OrderedDict()
    for name, layer in network.named_children():
        layers[name] = layer
        if name == "dropout2":
            for number in range(3):
                identity = nn.Linear(60, 60, bias=False)
                with torch.no_grad():
                    nn.init.eye_(identity.weight)
                layers[f"identity{number}"], layers[f"idle{number}"] = identity, nn.ReLU()
    return nn.Sequential(layers)


def test_identity_layers_are_idle(healthy, digits):
    stress = report(with_identity_layers(healthy), *parts(digits))
    (advice,) = stress.advice
    assert (advice.finding, advice.kind) == ("idle", "advice")
    assert advice.layers == ("idle0", "idle1", "idle2")
    assert stress.table.layer[stress.table.state == "idle"].tolist() == list(advice.layers)
    idle = stress.table[stress.table.state == "idle"]
    np.testing.assert_allclose(idle[["load", "low", "high"]], 0, atol=1e-12)
    assert "leave it out" in advice.text


def test_a_network_without_regularisation_on_few_images_is_overfitted(digits):
    on_train, on_test = parts(digits, 100)
    stress = report(trained(*on_train), on_train, on_test)
    (advice,) = (advice for advice in stress.advice if advice.finding == "overfitted")
    assert re.search(r"^[6-9]\d% \(\d+% to \d+%\) of the fall on the training", advice.evidence)


def with_a_last_block_that_does_it_all(images, labels):
    """Train the last hidden layer and the read-out behind random layers."""
    torch.manual_seed(0)
    network = MLP(width=60, hidden_layers=4)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("4" in name or "readout" in name)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network


def test_a_last_block_that_does_it_all_is_overloaded(digits):
    on_train, on_test = parts(digits)
    stress = report(with_a_last_block_that_does_it_all(*on_train), on_train, on_test)
    assert stress.table.state.tolist()[-1] == "overloaded"
    (advice,) = (advice for advice in stress.advice if advice.finding == "overloaded")
    assert advice.layers == ("activation4",)
    assert "the deep layers do most" in str(stress)


# Numbers -------------------------------------------------------------------------------------


def test_the_curves_are_those_of_load_curve(healthy, digits):
    on_train, on_test = parts(digits)
    stress = report(healthy, on_train, on_test)
    for curve, images in ((stress.train, on_train), (stress.test, on_test)):
        expected = load_curve(healthy, *images)
        np.testing.assert_allclose(curve.mean, expected.separation, rtol=1e-9)
        assert curve.layers == expected.layers
    assert stress.images == (1000, 1000)
    assert stress.train.separation.shape == (200, 5)
    assert report(healthy, on_train).test is None


def test_the_table_is_of_the_draws(healthy, digits):
    stress = report(healthy, *parts(digits))
    table = stress.table
    assert table.index.tolist() == [1, 2, 3, 4]
    assert table.layer.tolist() == [f"activation{layer}" for layer in range(1, 5)]
    for prefix, curve in (("", stress.train), ("unseen_", stress.test)):
        draws = -np.diff(curve.separation, axis=1)
        low, high = np.percentile(draws, [2.5, 97.5], axis=0)
        np.testing.assert_allclose(table[f"{prefix}load"], curve.loads)
        np.testing.assert_allclose(table[f"{prefix}low"], low)
        np.testing.assert_allclose(table[f"{prefix}high"], high)
        np.testing.assert_allclose(table[f"{prefix}share"], curve.loads / curve.loads.sum())
    alone = report(healthy, parts(digits)[0]).table
    assert alone.columns.tolist() == ["layer", "load", "low", "high", "share", "state"]


def test_more_images_narrow_the_intervals(healthy, digits):
    on_train, _ = parts(digits)
    few = report(healthy, tuple(part[:250] for part in on_train), resamples=400).train
    many = report(healthy, on_train, resamples=400).train
    narrower = np.ptp(many.separation, axis=0) / np.ptp(few.separation, axis=0)
    np.testing.assert_allclose(narrower, 0.5, atol=0.2)


def test_loaders_arrays_and_batch_sizes_agree(healthy, digits):
    on_train, _ = parts(digits)
    expected = report(healthy, on_train, seed=3)
    loader = DataLoader(TensorDataset(*on_train), batch_size=300)
    arrays = tuple(part.numpy() for part in on_train)
    batches = iter([(images, labels.tolist()) for images, labels in loader])
    unseen = report(healthy, on_train, on_train, seed=3)
    for same in (loader, [(images, labels.tolist()) for images, labels in loader]):
        stress = report(healthy, same, same, seed=3)
        np.testing.assert_allclose(stress.train.spread, unseen.train.spread, rtol=0.02)
        np.testing.assert_allclose(stress.test.spread, unseen.test.spread, rtol=0.02)
    for other in (loader, arrays, batches):
        stress = report(healthy, other, seed=3, batch_size=200)
        np.testing.assert_allclose(stress.train.mean, expected.train.mean, rtol=1e-5)
        np.testing.assert_allclose(stress.train.spread, expected.train.spread, rtol=0.02)
    again = report(healthy, *on_train, seed=3)  # inputs and labels apart
    np.testing.assert_array_equal(again.train.separation, expected.train.separation)
    other = report(healthy, on_train, seed=4)
    assert not np.array_equal(other.train.separation, expected.train.separation)


# What it says --------------------------------------------------------------------------------


def test_json_holds_the_numbers(healthy, digits):
    stress = report(with_identity_layers(healthy), *parts(digits))
    found = strict(stress.to_json())
    assert " ".join(found) == (
        "measure layers regime verdict train test table advice undefined rule network notes unit"
    )
    assert found["rule"] == stress.rule
    assert (found["undefined"], found["network"], found["notes"]) == ({}, "perceptron", [])
    assert found["measure"] == "trace"
    assert found["layers"] == list(stress.train.layers)
    assert (found["regime"], found["verdict"]) == (stress.regime, stress.verdict)
    for part, curve in (("train", stress.train), ("test", stress.test)):
        numbers = found[part]
        assert (numbers["images"], numbers["classes"]) == (1000, 10)
        assert numbers["floor"] == pytest.approx(np.log(990 / 9))
        assert numbers["separation"] == curve.mean.tolist()
        low, high = np.percentile(curve.separation, [2.5, 97.5], axis=0)
        assert numbers["separation_low"] == low.tolist()
        assert numbers["separation_high"] == high.tolist()
        assert numbers["convexity"] == curve.convexity
        assert (numbers["convexity_low"], numbers["convexity_high"]) == curve.convexity_interval
    assert found["table"] == stress.table.reset_index().to_dict(orient="records")
    assert [advice["finding"] for advice in found["advice"]] == findings(stress)
    assert found["advice"][-1]["layers"] == ["idle0", "idle1", "idle2"]


def test_json_has_null_for_what_is_not_a_number():
    rising = StressMap(LoadCurve([[0.0, 1.0], [0.0, 1.0]]))
    found = strict(rising.to_json())
    assert found["test"] is None
    assert found["train"]["images"] is None
    assert found["train"]["convexity"] is found["train"]["convexity_low"] is None
    assert found["table"] == [
        {"l": 1, "layer": "", "load": -1.0, "low": -1.0, "high": -1.0, "share": None, "state": ""}
    ]
    assert "  -" in str(rising)  # the share
    assert "Unresolved." in str(rising)


def test_the_text_says_what_was_measured_and_why(healthy, digits):
    stress = report(with_identity_layers(healthy), *parts(digits))
    text = str(stress)
    assert text.startswith("Stress map of 7 layers, 1000 training inputs and 1000 unseen inputs\n")
    assert "suggestions, not certainties" in text
    lines = " ".join(text.split())
    assert f"On training inputs: {stress.verdict}." in lines
    assert f"On unseen inputs: {stress.test.verdict}." in lines
    for advice in stress.advice:
        assert advice.text in lines
        assert f"{advice.evidence}. Basis: {advice.basis}." in lines
    assert f"Layers: {stress.rule}; layers= chooses others." in lines
    assert max(map(len, text[text.index("Layers: ") :].splitlines())) <= 96
    assert not re.search(r"-0(%|\.000)", text)
    for name in stress.table.layer:
        assert name in text


def test_a_verdict_at_the_edge_says_so():
    draws = [[4.0, 2.0, 0.0], [4.0, 1.5, 0.0]]
    assert "at the edge" in StressMap(LoadCurve(draws)).verdict


def test_long_names_are_cut_in_the_text_only():
    name = "model.backbone.stages.3.blocks.11.mlp.activation"
    stress = StressMap(LoadCurve([[1.0, 0.0], [1.0, 0.0]], layers=("images", name)))
    assert f"...{name[-29:]} " in str(stress)
    assert name not in str(stress)
    assert stress.table.layer.item() == name


# Architectures -------------------------------------------------------------------------------


def images_of(shape, count=60, classes=3):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    means = torch.randn(classes, *shape, generator=generator)
    return torch.randn(count, *shape, generator=generator) + means[labels], labels


class BasicBlock(nn.Module):
    """As torchvision's: one ReLU for both activations, and a skip connection."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1:
            short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(short, nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + identity)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 4))
        self.layer2 = nn.Sequential(BasicBlock(4, 8, stride=2), BasicBlock(8, 8))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def test_a_residual_network_is_measured_on_its_blocks():
    torch.manual_seed(0)
    model, data = ResNet(), images_of((3, 8, 8))
    stress = report(model, data)
    assert stress.table.layer.tolist() == ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]
    with torch.no_grad():
        model.eval()
        stem = torch.relu(model.bn1(model.conv1(data[0])))
        trunk = model.layer2[0](model.layer1(stem))
        expected = report(nn.Sequential(nn.Identity(), nn.ReLU()), (trunk, data[1]))
    assert stress.train.mean[3] == pytest.approx(expected.train.mean[1], rel=1e-5)


class Classifier(nn.Module):
    """A transformer over tokens: of images in patches, or of words."""

    def __init__(self, embedding, tokens, pool):
        super().__init__()
        self.embedding = embedding
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(0.1 * torch.randn(1, tokens + 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)
        self.pool = pool
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.embedding(x)
        x = x.flatten(2).mT if x.ndim == 4 else x
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(self.pool(self.encoder(x)))


def class_token(h):
    return h[:, 0]


def mean_of_tokens(h):
    return h.mean(1)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@pytest.mark.parametrize("pool", [class_token, mean_of_tokens])
def test_a_vision_transformer_is_measured_on_its_layers(pool):
    torch.manual_seed(0)
    model = Classifier(nn.Conv2d(1, 16, 4, 4), 4, pool)
    data = images_of((1, 8, 8))
    stress = report(model, data, pool=pool)
    assert stress.table.layer.tolist() == [f"encoder.layers.{layer}" for layer in range(3)]
    assert stress.train.layers[0] == "images"
    heard = []
    handle = model.encoder.layers[1].register_forward_hook(lambda m, a, out: heard.append(out))
    model.eval()
    with torch.no_grad():
        model(data[0])
    handle.remove()
    features = pool(heard[0])
    expected = load_curve(nn.Sequential(nn.Identity(), nn.Flatten()), features, data[1], "1")
    assert stress.train.mean[2] == pytest.approx(expected.separation[1], rel=1e-5)
    assert stress.train.mean[2] != pytest.approx(report(model, data).train.mean[2], rel=1e-3)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
def test_a_text_classifier_starts_at_its_embedding():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(60) % 3
    words = torch.randint(10, (60, 6), generator=generator) + 10 * labels[:, None]
    model = Classifier(nn.Embedding(30, 16), 6, mean_of_tokens)
    stress = report(model, (words, labels), pool=mean_of_tokens)
    assert stress.train.layers == ("embedding", *[f"encoder.layers.{layer}" for layer in range(3)])
    with torch.no_grad():
        embedded = model.embedding(words).mean(1)
    expected = load_curve(nn.Sequential(nn.Identity(), nn.Flatten()), embedded, labels, "1")
    assert stress.train.mean[0] == pytest.approx(expected.separation[0], rel=1e-6)


class Masked(Classifier):
    """Tells the encoder which words only fill up a sentence."""

    def forward(self, x):
        hidden = self.encoder(self.embedding(x), src_key_padding_mask=x == 0)
        return self.head(hidden.mean(1))


def test_a_transformer_with_masked_tokens():
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    words = torch.randint(1, 10, (60, 6)) + 10 * labels[:, None]
    words[::4, 4:] = 0
    model = Masked(nn.Embedding(30, 16), 6, mean_of_tokens)
    stress = report(model, (words, labels), pool=mean_of_tokens)
    layers = model.encoder.layers
    for layer in layers:  # dropout off, but on the path of training
        layer.dropout.p = layer.dropout1.p = layer.dropout2.p = layer.self_attn.dropout = 0.0
    with torch.no_grad():
        hidden = model.embedding(words)
        for layer, found in zip(layers, stress.train.mean[1:], strict=True):
            hidden = layer(hidden, src_key_padding_mask=words == 0)
            assert found == pytest.approx(data_separation(hidden.mean(1), labels), rel=1e-4)
    assert model.encoder.use_nested_tensor  # as it was


@pytest.mark.parametrize(
    ("name", "options", "blocks"), [("resnet18", {}, 8), ("vit_b_16", {"image_size": 32}, 12)]
)
def test_a_public_architecture_is_mapped_as_it_is(name, options, blocks):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    stress = report(getattr(models, name)(weights=None, **options), images_of((3, 32, 32), 12))
    assert len(stress.table) == blocks


def test_a_layer_of_100_000_features():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 100_000), nn.ReLU())
    stress = report(model, images_of((5,), 30), batch_size=10)
    assert np.isfinite(stress.table[["load", "low", "high"]].values).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(healthy, digits, dtype):
    on_train, _ = parts(digits, 300)
    expected = report(healthy, on_train)
    half = MLP(width=60, hidden_layers=4)
    half.load_state_dict(healthy.state_dict())
    stress = report(half.to(dtype), on_train)
    assert stress.train.separation.dtype == np.float64
    np.testing.assert_allclose(stress.train.mean, expected.train.mean, atol=0.02)
    np.testing.assert_allclose(stress.train.spread, expected.train.spread, rtol=0.1)


# Bad input -----------------------------------------------------------------------------------


def tabular(count=30, classes=3):
    return images_of((4,), count, classes)


def model_of(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), *(layers or [nn.ReLU()]))


def on_two_devices():
    return model_of(nn.ReLU(), nn.Linear(5, 3, device="meta"))


IN_TRAIN, IN_INPUTS = "in the training inputs", "in layer 'inputs'"
POOLED = "in pool, on layer '2' with features (30, 5); make it suit them"
IMAGES = tabular()[0]
UNLABELLED = DataLoader(IMAGES, batch_size=10)
NO_LABELS = "^labels: None given; inputs in an array need labels, one per sample\n"
NO_VALUES = "^model: its parameters are on 'meta', without values; load them first$"
UNKNOWN = "^layers: the model has no layer 'conv1'; its layers are Dropout, Linear, ReLU; choose"
TOO_MANY = "^too many indices for tensor of dimension 2\n"
SHAPES = r"^labels: shape \(30,\) does not match features of shape \(5,\)"
WORDY, META = model_of(nn.ReLU(), Wordy()), model_of().to("meta")


def assert_refused(model, train, error, message, notes, **options):
    """Assert that a report fails as told, and leaves the model as it was."""
    modules = isinstance(model, nn.Module) and not any(p.is_meta for p in model.parameters())
    before = fingerprint(model) if modules else None
    with pytest.raises(error, match=message) as caught:
        report(model, train, **options)
    assert getattr(caught.value, "__notes__", []) == notes
    if modules:
        assert fingerprint(model) == before


@pytest.mark.parametrize(
    ("train", "error", "message", "notes"),
    [
        (UNLABELLED, TypeError, r"^data: a batch is Tensor; yield \(inputs, labels\) pairs", []),
        (IMAGES, TypeError, NO_LABELS, []),
        ((*tabular(), 3), ValueError, "^data: 3 parts given; give", []),
        (tabular(classes=1), ValueError, "^labels: one class only", [IN_INPUTS]),
        (tabular(2), ValueError, "^labels: class 0 has 1 sample; give at least 2", [IN_INPUTS]),
        ([], ValueError, "^data: the loader yields no batch", []),
        (7, TypeError, r"^data: int given; give \(inputs, labels\)", []),
    ],
)
def test_bad_data(train, error, message, notes):
    assert_refused(model_of(), train, error, message, [*notes, IN_TRAIN])


@pytest.mark.parametrize("seed", [np.int8(3), 2**63, np.uint64(2**64 - 1), 10**40])
def test_seeds_may_be_any_integers(seed):
    first, again = (report(model_of(), tabular(), seed=s) for s in (seed, int(seed)))
    np.testing.assert_array_equal(again.train.separation, first.train.separation)


@pytest.mark.parametrize(
    ("options", "error", "message", "notes"),
    [
        ({"layers": ["conv1"]}, ValueError, UNKNOWN, []),
        ({"layers": nn.Conv2d}, ValueError, "^layers: Sequential has no layer for", []),
        ({"seed": -1}, ValueError, "^seed=-1: give an integer of at least 0$", []),
        ({"seed": 1.5}, ValueError, "^seed=1.5: give an integer of at least 0$", []),
        ({"resamples": 39}, ValueError, "^resamples=39: give an integer of 40 or more, at ", []),
        ({"resamples": 10**30}, ValueError, "^resamples=10*: give .* at most 10,000$", []),
        ({"resamples": 10_001}, ValueError, "^resamples=10001: give .* at most 10,000$", []),
        ({"layers": np.array(0.5)}, TypeError, r"^layers: array\(0\.5\) given; give names", []),
        ({"layers": np.ones(2)}, TypeError, r"^layers: array\(\[1\., 1.*given; give names", []),
        ({"resamples": 1e3}, ValueError, "^resamples=1000.0: give an", []),
        ({"pool": lambda h: h[:, 0, 0]}, IndexError, TOO_MANY, [POOLED, IN_TRAIN]),
        ({"pool": lambda h: h.mean(0)}, ValueError, SHAPES, ["in layer '2'", IN_TRAIN]),
    ],
)
def test_bad_options(options, error, message, notes):
    assert_refused(model_of(), tabular(), error, message, notes, **options)


@pytest.mark.parametrize(
    ("model", "error", "message", "notes"),
    [
        (WORDY, TypeError, "^layer '3': no floating tensor in its str; leave it out", [IN_TRAIN]),
        (on_two_devices(), ValueError, "^model: lies on cpu and meta; move it to one device$", []),
        (META, ValueError, NO_VALUES, []),
        (len, TypeError, "^model: builtin_function_or_method given; give a torch.nn.Module$", []),
    ],
)
def test_bad_models(model, error, message, notes):
    options = {"layers": Wordy} if model is WORDY else {}
    assert_refused(model, tabular(), error, message, notes, **options)


def test_errors_of_the_unseen_images_say_so():
    with pytest.raises(ValueError, match=r"^labels: one class only") as caught:
        report(model_of(), tabular(), tabular(classes=1))
    assert caught.value.__notes__ == ["in layer 'inputs'", "in the unseen inputs"]


def test_errors_of_a_loader_keep_their_type_and_traceback():
    def batches():
        yield tabular()
        b"\xff".decode("utf-8")

    with pytest.raises(UnicodeDecodeError) as caught:
        report(model_of(), batches())
    assert caught.value.__notes__ == [IN_TRAIN]
    assert caught.traceback[-1].name == "batches"


def test_the_model_is_left_as_it_was(healthy, digits):
    healthy.train()
    before = fingerprint(healthy)
    report(healthy, *parts(digits, 100))
    assert fingerprint(healthy) == before
