"""A network is watched, and trains to the last bit as it would without."""

import random
import warnings

import numpy as np
import pytest
import torch
from small_training import network, problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sbt_utils as sbt
from sbt_utils.measuring.probe import load_curve
from sbt_utils.watching.callback import LoadCurveCallback

IMAGES, LABELS = problem(images=120)


class Noisy(nn.Module):
    """Draws random numbers of every kind, in evaluation mode too."""

    def forward(self, x):
        return x + 0.01 * torch.randn_like(x) * random.random() * np.random.rand()  # noqa: NPY002


def restless():
    torch.manual_seed(1)
    parts = [nn.Flatten(), nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3)]
    parts += [nn.Linear(16, 16), nn.ReLU(), Noisy(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)]
    return nn.Sequential(*parts)


def states(model, optimizer):
    """Return all that a training consists of."""
    return [
        *model.state_dict().values(),
        *(value for state in optimizer.state.values() for value in state.values()),
        *(p.grad for p in model.parameters()),
        torch.get_rng_state(),
        torch.tensor(random.getstate()[1]),
        torch.from_numpy(np.random.get_state()[1].astype(np.int64)),  # noqa: NPY002
    ]


def trained(watched, precision=None):
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    model = restless()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    watch = None
    loader = DataLoader(TensorDataset(IMAGES, LABELS), 30, shuffle=True)
    if watched:
        watch = LoadCurveCallback(loader, every=2)
    step = 0
    for _ in range(3):
        for x, y in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed"):
                if watch is not None:  # where it could do most harm: in the midst of a step
                    watch(model, step)
                loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if step < 11:
                optimizer.zero_grad()
            step += 1
    return states(model, optimizer), [] if watch is None else watch.readings


@pytest.mark.parametrize("precision", ["single", "mixed"])
def test_a_training_is_the_same_to_the_last_bit(precision):
    plain, _ = trained(False, precision)
    watched, readings = trained(True, precision)
    assert [reading.step for reading in readings] == [0, 2, 4, 6, 8, 10]
    assert all(reading.curve for reading in readings)
    assert len(plain) == len(watched)
    for one, other in zip(plain, watched, strict=True):
        assert torch.equal(one, other)


def test_modes_and_gradients_are_as_before():
    model = restless()
    model[2].eval()  # frozen statistics in the midst of training
    modes = [module.training for module in model.modules()]
    LoadCurveCallback((IMAGES, LABELS))(model, 0)
    assert [module.training for module in model.modules()] == modes
    assert torch.is_grad_enabled()
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_making_one_draws_no_random_numbers():
    class Augmented(TensorDataset):
        def __getitem__(self, place):
            x, y = super().__getitem__(place)
            return x + torch.rand(()) * random.random() * np.random.rand(), y  # noqa: NPY002

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = (
        LoadCurveCallback(DataLoader(Augmented(IMAGES, LABELS), 30, shuffle=True)) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002
    torch.manual_seed(7)
    model = network()
    assert (one(model, 0).curve.mean == other(model, 0).curve.mean).all()


def test_a_reading_is_the_load_curve():
    model = network()
    reading = LoadCurveCallback((IMAGES, LABELS), batch_size=50)(model, 0)
    curve = load_curve(model.eval(), IMAGES, LABELS)
    np.testing.assert_allclose(reading.curve.mean, curve.mean, rtol=1e-6)
    assert reading.layers == reading.curve.layers == curve.layers
    # D of the inputs, from its definition.
    x, y = IMAGES.flatten(1).double().numpy(), LABELS.numpy()
    means = np.stack([x[y == c].mean(0) for c in range(4)])
    within, between = ((x - means[y]) ** 2).sum(), ((means[y] - x.mean(0)) ** 2).sum()
    assert reading.curve.mean[0] == pytest.approx(np.log(within / between), rel=1e-6)
    assert reading.fall == pytest.approx(curve.mean[0] - curve.mean[-1], rel=1e-6)
    assert reading.convexity == pytest.approx(curve.convexity, rel=1e-5, nan_ok=True)


def test_a_reading_amid_mixed_precision_is_of_full_precision():
    model = network()
    plain = LoadCurveCallback((IMAGES, LABELS))(model, 0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = LoadCurveCallback((IMAGES, LABELS))(model, 0)
        assert model(IMAGES).dtype == torch.bfloat16
    assert (mixed.curve.mean == plain.curve.mean).all()


def test_options_reach_the_measurement():
    model = network()

    def forward(given, batch):
        return given(2 * batch[0])

    watch = LoadCurveCallback((IMAGES, LABELS), layers=["linear1", "linear2"], forward=forward)
    curve = load_curve(model.eval(), IMAGES, LABELS, ["linear1", "linear2"], forward=forward)
    reading = watch(model, 0)
    assert reading.layers == curve.layers
    np.testing.assert_allclose(reading.curve.mean, curve.mean, rtol=1e-6)


def test_steps_are_multiples_each_once_and_begin_anew():
    model, other = network(), network()
    watch = LoadCurveCallback((IMAGES, LABELS), every=3)
    read = [step for step in (0, 1, 2, 3, 3, 4, 5, 6) if watch(model, step)]
    assert read == [reading.step for reading in watch.readings] == [0, 3, 6]
    assert watch(other, 0).step == 0
    assert len(watch.readings) == 1


def test_a_network_that_diverges_trains_on_and_is_told_once():
    model = network()
    watch = LoadCurveCallback((IMAGES, LABELS), every=1)
    weight = model.linear2.weight.data.clone()
    assert watch(model, 0).curve is not None
    model.linear2.weight.data.fill_(float("nan"))
    with pytest.warns(UserWarning, match=r"step 1: .*NaN.*in layer '.*2'.*Training goes on"):
        reading = watch(model, 1)
    assert reading.curve is None
    assert reading.scalars == {}
    assert reading.most_loaded is None
    assert "NaN" in reading.problem
    assert "NaN" in str(reading)
    assert watch(model, 2).curve is None  # without another warning
    model.linear2.weight.data.copy_(weight)
    assert watch(model, 3).curve is not None


class Branches(nn.Module):
    """Three layers, of which the second may die without the third."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        first = torch.tanh(self.one(x.flatten(1)))
        return self.three(first + self.two(first))


def test_a_dead_layer_is_left_out_and_the_others_keep_their_numbers():
    model, writer = Branches(), Writer()
    nn.init.zeros_(model.two.weight)
    nn.init.eye_(model.one.weight)
    # To undo the squashing is to separate more: the last layer has the largest load.
    means = torch.stack([IMAGES.flatten(1)[c == LABELS].mean(0) for c in range(4)])
    model.three.weight.data = means.repeat(2, 1)
    watch = LoadCurveCallback(
        (IMAGES, LABELS), layers=["one", "two", "three"], log_to=writer, every=1
    )
    with pytest.warns(UserWarning, match=r"no D of 'two' \(dead\)"):
        reading = watch(model, 0)
    assert reading.layers == ("images", "one", "two", "three")
    assert reading.undefined == {"two": "dead"}
    assert len(reading.curve.mean) == 3
    assert reading.most_loaded == 3
    assert "most in layer 3 of 3, 'three'; no D of 'two' (dead)" in str(reading)
    assert writer.scalars["load_curve/most_loaded_layer"] == [(0, 3.0)]
    assert writer.scalars["load_curve/fall"] == [(0, reading.fall)]
    nn.init.zeros_(model.one.weight)
    nn.init.zeros_(model.three.weight)
    assert watch(model, 1).curve is None  # of the inputs alone
    assert watch.readings[1].scalars == {}
    assert [step for step, _ in writer.images["load_curve/picture"]] == [0]


class Writer:
    """Keeps what a writer of TensorBoard gets."""

    def __init__(self):
        self.scalars, self.images = {}, {}

    def add_scalar(self, name, value, step):
        self.scalars.setdefault(name, []).append((step, value))

    def add_image(self, name, image, step, dataformats):
        assert dataformats == "HWC"
        self.images.setdefault(name, []).append((step, image))

    def flush(self):
        pass


@pytest.mark.parametrize("error", [RuntimeError("no memory"), AssertionError(), KeyError("x")])
def test_whatever_a_model_raises_the_training_goes_on(error):
    def forward(model, batch):
        raise error

    watch = LoadCurveCallback((IMAGES, LABELS), forward=forward)
    with pytest.warns(UserWarning, match="Training goes on"):
        reading = watch(network(), 0)
    assert reading.problem


def test_ctrl_c_ends_a_training_during_a_reading():
    def forward(model, batch):
        raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt):
        LoadCurveCallback((IMAGES, LABELS), forward=forward)(model, 0)
    assert model.training


def test_warnings_of_the_measurement_come_once():
    labels = LABELS.clone()
    labels[0] = 9
    watch = LoadCurveCallback((IMAGES, labels), every=1)
    with pytest.warns(UserWarning, match="left out: D needs 2 samples"):
        watch(network(), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert watch(network(), 1).curve is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every: 0 given; give an integer of 1 or more"),
        ({"every": True}, "every: True given"),
        ({"samples": 3}, "samples: 3 given; give an integer of 4 or more"),
        ({"batch_size": 1.5}, "batch_size: 1.5 given"),
        ({"log_to": "runs"}, "log_to: str given; give a SummaryWriter"),
        ({"pool": "max"}, "pool: 'max' given"),
        ({"mask": 3}, "mask: int given"),
        ({"data": "text"}, "data: text given"),
        ({"data": (IMAGES, LABELS[:5])}, "labels: shape .* does not match"),
        ({"data": [IMAGES[0]]}, "data: 1 parts given"),
    ],
)
def test_what_cannot_be_is_refused_before_training(arguments, message):
    data = arguments.pop("data", (IMAGES, LABELS))
    with pytest.raises((TypeError, ValueError), match=message):
        LoadCurveCallback(data, **arguments)


def test_a_step_is_a_number_and_a_picture_needs_a_curve():
    watch = LoadCurveCallback((IMAGES, LABELS))
    with pytest.raises(ValueError, match=r"step: .* given; give an integer of 0 or more"):
        watch(network(), network())
    with pytest.raises(ValueError, match="no load curve yet"):
        watch.picture()
    with pytest.raises(AttributeError, match="no attribute 'reading'"):
        watch.reading  # noqa: B018


def test_it_is_at_the_front_door():
    assert sbt.LoadCurveCallback is LoadCurveCallback
