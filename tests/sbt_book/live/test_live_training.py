"""The training explorable: JavaScript against PyTorch, finite differences and `data_separation`."""

import gzip

import numpy as np
import pytest
import torch
from node import functions_of
from torch import nn

from sbt_book.live.training import TRAINING_PRESETS, TrainingExplorable
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.training.networks import MLP

run = functions_of("training/training_worker.js")
page = functions_of("training/training.js")
# Odd sizes: neither the width nor the rows fill the blocks of the matrix product.
SHAPE = {"inputs": 11, "width": 7, "hidden_layers": 3, "classes": 5}
ROWS = 13
SLOPE = 0.3

NETWORK = """
const network = new Network({ ...shape, rows });
network.parameters.set(parameters);
const images = new Float64Array(pixels.flat());
const listed = (array, count) => Array.from(array.subarray(0, count));
"""
STEP = """
  network.forward(images, rows, slope, masks.length > 0);
  const loss = crossEntropy(network.logits, labels, network.toLogits, rows, shape.classes);
  network.backward(network.toLogits, rows);
"""


class Masked(nn.Module):
    """Dropout whose mask is given."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, x):
        return x * self.mask if self.training else x


class Case:
    """A network with weights away from their first values, images and labels."""

    def __init__(self, masked=False, **shape):
        torch.manual_seed(2)
        draw = np.random.default_rng(4)
        self.shape = {**SHAPE, **shape}
        self.network = MLP(**self.shape, negative_slope=SLOPE).double()
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        self.images = torch.tensor(draw.uniform(size=(ROWS, self.shape["inputs"])))
        self.labels = torch.tensor(draw.integers(self.shape["classes"], size=ROWS))
        layers, width = self.shape["hidden_layers"], self.shape["width"]
        self.masks = draw.integers(2, size=(layers, ROWS, width)) / 0.5 if masked else []
        for number, mask in enumerate(self.masks, start=1):
            setattr(self.network, f"dropout{number}", Masked(torch.tensor(mask)))

    def loss(self):
        return nn.functional.cross_entropy(self.network(self.images), self.labels)

    def node(self, body, **data):
        masks = "masks.forEach((mask, layer) => network.hidden[layer].mask.set(mask.flat()));"
        return run(
            f"(() => {{ {NETWORK} {masks} {body} }})()",
            shape=self.shape,
            rows=ROWS,
            slope=SLOPE,
            parameters=flat(self.network.parameters()),
            pixels=self.images,
            labels=self.labels,
            masks=self.masks,
            **data,
        )


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).numpy()


def buffers(network, name):
    return flat(tensor for key, tensor in network.named_buffers() if key.endswith(name))


RUNNING = """{
  means: network.norms().flatMap((norm) => Array.from(norm.runningMean)),
  variances: network.norms().flatMap((norm) => Array.from(norm.runningVariance)),
}"""


@pytest.mark.parametrize("masked", [False, True], ids=["no dropout", "dropout"])
@pytest.mark.parametrize("shape", [{}, {"width": 8, "inputs": 4, "hidden_layers": 1}], ids=str)
def test_a_step_is_that_of_pytorch(masked, shape):
    case = Case(masked, **shape)
    loss = case.loss()
    loss.backward()
    found = case.node(
        STEP + f"return {{ loss, running: {RUNNING}, gradients: listed(network.gradients),"
        "logits: listed(network.logits, rows * shape.classes) };"
    )
    twin = Case(masked, **shape)
    np.testing.assert_allclose(
        found["logits"], twin.network(twin.images).detach().flatten(), rtol=1e-10, atol=1e-12
    )
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-12)
    expected = flat(each.grad for each in case.network.parameters())
    np.testing.assert_allclose(found["gradients"], expected, rtol=1e-8, atol=1e-13)
    assert np.abs(expected).max() > 1e-3
    for key, name in (("means", "running_mean"), ("variances", "running_var")):
        np.testing.assert_allclose(
            found["running"][key], buffers(case.network, name), rtol=1e-12, atol=1e-14
        )


def test_the_gradient_is_the_slope_of_the_loss():
    case = Case(masked=True)
    gradients, numerical = case.node(
        STEP
        + """
        const gradients = listed(network.gradients);
        const lossAt = (k, change) => {
          network.parameters.set(parameters);
          network.parameters[k] += change;
          network.forward(images, rows, slope, true);
          return crossEntropy(network.logits, labels, network.toLogits, rows, shape.classes);
        };
        return [gradients, gradients.map((_, k) => (lossAt(k, 1e-5) - lossAt(k, -1e-5)) / 2e-5)];
        """
    )
    np.testing.assert_allclose(gradients, numerical, rtol=1e-6, atol=1e-9)


def test_evaluation_is_that_of_pytorch():
    case = Case()
    logits, features = case.node(
        """
        for (let step = 0; step < 4; step++) network.forward(images, rows, slope, false);
        const features = [];
        network.evaluate(images, rows, slope, (l, x, d) => features.push(listed(x, rows * d)));
        return [listed(network.logits, rows * shape.classes), features];
        """
    )
    for _ in range(4):
        case.network(case.images)
    network = case.network.eval()
    seen = []
    for name, layer in network.named_children():
        if name == "input_norm" or name.startswith("activation"):
            layer.register_forward_hook(lambda *args: seen.append(args[2].detach().flatten()))
    np.testing.assert_allclose(
        logits, network(case.images).detach().flatten(), rtol=1e-10, atol=1e-12
    )
    assert len(features) == len(seen) == 4
    for found, expected in zip(features, seen, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_adam_is_that_of_pytorch():
    case = Case(masked=True)
    rates = [1e-3] * 10 + [1e-2] * 10  # turned while it trains
    found = case.node(
        f"""
        const optimiser = new Adam(network.parameters, network.gradients);
        for (const rate of rates) {{ {STEP} optimiser.step(rate); }}
        return listed(network.parameters);
        """,
        rates=rates,
    )
    optimiser = torch.optim.Adam(case.network.parameters())
    start = flat(case.network.parameters())
    for rate in rates:
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        case.loss().backward()
        optimiser.step()
    expected = flat(case.network.parameters())
    # The biases in front of a batch norm have no gradient but rounding, which Adam magnifies.
    names = [name for name, each in case.network.named_parameters() for _ in range(each.numel())]
    felt = np.array([not (n.startswith("linear") and n.endswith("bias")) for n in names])
    np.testing.assert_allclose(np.array(found)[felt], expected[felt], rtol=1e-7, atol=1e-9)
    assert np.abs(expected - start).min() > 0


def test_dropout_keeps_the_mean():
    values = np.array(
        run(
            """(() => {
              const network = new Network({ ...shape, rows });
              network.drawMasks(0.3, rows, uniform(1));
              return network.hidden.map(({ mask }) => Array.from(mask));
            })()""",
            shape=SHAPE,
            rows=2000,
        )
    )
    assert sorted(set(values.flat)) == pytest.approx([0.0, 1 / 0.7])
    kept = (values > 0).mean()
    assert abs(kept - 0.7) < 4 * np.sqrt(0.21 / values.size)
    # Units are silenced independently of their neighbours and of those of the next layer.
    for a, b in ((values[0, 1:], values[0, :-1]), (values[0], values[1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(a.size)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_data_separation_is_that_of_the_package(offset):
    draw = np.random.default_rng(0)
    labels = draw.integers(9, size=300)  # the tenth class is missing
    features = draw.normal(size=(9, 20))[labels] + draw.normal(size=(300, 20)) + offset
    found = run(
        "dataSeparation(new Float64Array(features.flat()), labels, 300, 20, 10)",
        features=features,
        labels=labels,
    )
    assert found == pytest.approx(data_separation(features, labels), abs=1e-9)


def test_data_separation_without_scatter_is_undefined():
    none = "Number.isNaN(dataSeparation(new Float64Array(x), [0, 0, 1, 1], 4, 1, 2))"
    assert run(none, x=[1, 1, 1, 1])
    assert run(none, x=[1, 1, 2, 2])


BYTES = """
const bytes = ({ images, labels }) => {
  return { images: Uint8Array.from(images.flat()), labels: Uint8Array.from(labels) };
};
"""
TRAINER = f"""
{BYTES}
const architecture = {{ width: 16, hidden_layers: 3, classes: 10, seed: 1 }};
const trainer = new Trainer(bytes(train), bytes(test), architecture, settings);
"""
SETTINGS = {"negative_slope": 0.1, "dropout": 0.0, "learning_rate": 3e-3}
SETTINGS |= {"batch_size": 32, "label_noise": 0.0}


def digits(count=80):
    explorable = TrainingExplorable()
    pairs = np.frombuffer(explorable._images, np.uint8)
    images = 17 * np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1, 100)
    labels = np.frombuffer(explorable._labels, np.uint8)
    ends = (slice(0, count), slice(512, 512 + count))
    return [{"images": images[part], "labels": labels[part]} for part in ends]


def trained(body, **settings):
    train, test = digits()
    settings = {**SETTINGS, **settings}
    code = f"(() => {{ {TRAINER} {body} }})()"
    return run(code, train=train, test=test, settings=settings)


def test_a_trained_network_is_measured_as_the_probe_does():
    found = trained(
        "for (let step = 0; step < 40; step++) trainer.step();"
        "const measured = trainer.measure();"
        "const { network } = trainer;"
        f"return {{ measured, parameters: Array.from(network.parameters), ...{RUNNING} }};"
    )
    network = MLP(width=16, hidden_layers=3, negative_slope=0.1).double().eval()
    parameters = torch.tensor(np.array(found["parameters"]))
    nn.utils.vector_to_parameters(parameters, network.parameters())
    for key, name in (("means", "running_mean"), ("variances", "running_var")):
        values = torch.tensor(np.array(found[key]))
        for buffer, tensor in network.named_buffers():
            if buffer.endswith(name):
                tensor.copy_(values[: len(tensor)])
                values = values[len(tensor) :]
    measured = found["measured"]
    for key, part in zip(("accuracy_train", "accuracy_test"), digits(), strict=True):
        images = torch.tensor(part["images"] / 255)
        right = (network(images).argmax(1).numpy() == part["labels"]).mean()
        assert measured[key] == pytest.approx(right)
        if key == "accuracy_train":
            curve = load_curve(network, images, part["labels"].astype(int))
            np.testing.assert_allclose(measured["separation"], curve.mean, rtol=0, atol=1e-9)
    assert measured["steps"] == 40
    assert measured["accuracy_train"] > 0.5


def test_first_weights_are_distributed_as_in_pytorch():
    found = trained(
        "const { linear } = trainer.network.hidden[0];"
        "return [Array.from(linear.weight), Array.from(linear.bias)];"
    )
    weights, biases = map(np.array, found)
    assert 0.095 < np.abs(weights).max() <= 0.1
    assert 0.05 < np.abs(biases).max() <= 0.1
    assert abs(weights.mean()) < 4 * 0.1 / np.sqrt(3 * weights.size)
    assert weights.var() == pytest.approx(0.01 / 3, rel=0.1)


def test_two_networks_of_a_seed_begin_with_the_same_weights():
    code = f"""(() => {{
      {BYTES}
      return [settings, {{ ...settings, dropout: 0.5, batch_size: 8, negative_slope: 1 }}].map(
        (each) => {{
          const architecture = {{ width: 16, hidden_layers: 3, classes: 10, seed: 5 }};
          const trainer = new Trainer(bytes(train), bytes(test), architecture, each);
          const before = Array.from(trainer.network.parameters);
          trainer.step();
          return [before, Array.from(trainer.network.parameters)];
        }},
      );
    }})()"""
    train, test = digits()
    one, other = run(code, train=train, test=test, settings=SETTINGS)
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_an_epoch_sees_every_image_once():
    batches = trained(
        """
        const batches = [];
        for (let step = 0; step < 6; step++) {
          const rows = trainer.takeBatch();
          const from = trainer.order.slice(trainer.next - rows, trainer.next);
          const labels = Array.from(from, (place) => train.labels[place]);
          const same = labels.every((label, i) => label === trainer.labels[i]);
          const first = train.images[from[0]].every((p, j) => p / 255 === trainer.images[j]);
          batches.push([Array.from(from), same && first]);
        }
        return batches;
        """
    )
    sizes = [len(batch) for batch, _ in batches]
    assert sizes == [32, 32, 16, 32, 32, 16]
    orders = [batch for batch, _ in batches]
    epochs = [[place for batch in orders[k : k + 3] for place in batch] for k in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(80))
    assert epochs[0] != epochs[1]
    assert all(same for _, same in batches)


def test_no_batch_holds_a_single_image():
    sizes = trained("return [1, 2, 3, 4].map(() => trainer.takeBatch());", batch_size=79)
    assert sizes == [79, 79, 79, 79]


def test_label_noise_redraws_labels_over_all_classes():
    drawn = np.array(
        trained(
            """
            const drawn = [];
            for (let step = 0; step < 100; step++) {
              const rows = trainer.takeBatch();
              const from = trainer.order.slice(trainer.next - rows, trainer.next);
              from.forEach((place, i) => drawn.push([train.labels[place], trainer.labels[i]]));
            }
            return drawn;
            """,
            label_noise=0.5,
            batch_size=80,
        )
    )
    changed = (drawn[:, 0] != drawn[:, 1]).mean()
    assert abs(changed - 0.45) < 4 * np.sqrt(0.45 * 0.55 / len(drawn))
    share = np.bincount(drawn[drawn[:, 0] != drawn[:, 1], 1], minlength=10) / len(drawn)
    assert abs(share - 0.045).max() < 0.02


def test_knobs_act_from_the_next_step_on():
    losses = trained(
        """
        const loss = () => {
          let sum = 0;
          for (let step = 0; step < 30; step++) sum += trainer.step() / 30;
          return sum;
        };
        const mean = [loss(), loss(), loss()];
        const before = trainer.network.parameters.slice();
        trainer.settings.learning_rate = 0;
        trainer.step();
        const still = before.every((value, k) => value === trainer.network.parameters[k]);
        trainer.settings.label_noise = 1;
        return [...mean, loss(), still];
        """
    )
    *calm, noisy, still = losses
    assert calm == sorted(calm, reverse=True)
    assert noisy > 2
    assert still


def test_the_loop_trains_in_slices_and_listens_between_them():
    told = trained(
        """
        globalThis.performance = { now: () => 0 }; // no time passes: a step a turn, told at once
        const told = [];
        const waiting = [];
        const loop = new TrainingLoop((each) => told.push(each), (turn) => waiting.push(turn), 0);
        const turns = (count) => {
          while (count-- && waiting.length) waiting.shift()();
        };
        const fresh = { train: bytes(train), test: bytes(test), architecture, number: 7 };
        loop.receive({ fresh, settings, interval: 0 });
        loop.receive({ running: true });
        turns(3);
        loop.receive({ settings: { negative_slope: 1 } });
        loop.receive({ running: false });
        turns(5); // nothing may come of them
        loop.receive({ settings: { negative_slope: 0 } });
        return told;
        """
    )
    assert [each["steps"] for each in told] == [0, 1, 2, 3, 3, 3]
    assert [each["loss"] is None for each in told] == [True, False, False, False, True, True]
    assert {each["number"] for each in told} == {7}
    # At rest a turned α shows as well: the features are those of the new activation.
    assert told[3]["separation"] != told[4]["separation"] != told[5]["separation"]
    assert told[4]["separation"][0] == told[5]["separation"][0]


def test_the_regimes_of_the_presets():
    train, test = digits(512)
    code = f"""presets.map((settings) => {{
      {BYTES}
      const architecture = {{ width: 32, hidden_layers: 7, classes: 10, seed: 0 }};
      const trainer = new Trainer(bytes(train), bytes(test), architecture, settings);
      for (let step = 0; step < 160; step++) trainer.step();
      return trainer.measure().separation;
    }})"""
    presets = [{**SETTINGS, **preset} for preset in TRAINING_PRESETS.values()]
    curves = run(code, train=train, test=test, presets=presets)
    explorable = TrainingExplorable()
    convexities = []
    for curve in curves:
        explorable.separation = curve
        convexities.append(explorable.load_curve.convexity)
    lazy, equiseparated, active = convexities
    assert lazy < -0.1
    assert abs(equiseparated) < 0.08
    assert active > 0.12


def test_the_digits_are_few_and_small():
    explorable = TrainingExplorable()
    assert len(explorable._images) + len(explorable._labels) < 51_000
    assert len(explorable._labels) == len(explorable._images) / 50 == 512 + 480
    texts = (explorable._esm + explorable._worker).encode()
    assert len(gzip.compress(texts)) < 35_000


def test_the_page_unpacks_the_digits():
    explorable = TrainingExplorable()
    code = """(() => {
      const model = {
        _images: Uint8Array.from(pairs), _labels: Uint8Array.from(labels), _training_images: 512,
      };
      const { train, test } = embeddedDigits({ get: (name) => model[name] });
      return [train, test].map(({ images, labels }) => [Array.from(images), Array.from(labels)]);
    })()"""
    found = page(code, pairs=list(explorable._images), labels=list(explorable._labels))
    data = load_data("mnist", train=512, test=480)
    expected = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    for (images, labels), (greys, classes) in zip(found, expected, strict=True):
        np.testing.assert_allclose(images, 255 * greys.numpy().ravel(), atol=8.5 + 1e-4)
        np.testing.assert_array_equal(labels, classes)


def test_the_still_curves_are_in_the_regimes_of_the_presets():
    (axes,) = TrainingExplorable().still().axes
    found, named = [LoadCurve(line.get_ydata()).regime for line in axes.lines], TRAINING_PRESETS
    assert found == ["lazy", "equiseparated", "active"] == [name.lower() for name in named]
