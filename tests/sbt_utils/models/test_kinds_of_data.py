"""Packed and ragged sequences, lists of samples and graphs: measured, or refused with a remedy."""

import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.models.running import evaluation_mode
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")

N, TOKENS = 18, 6
GENERATOR = torch.Generator().manual_seed(0)
Y = torch.arange(N) % 3
LENGTHS = torch.arange(N) % 4 + 3
IDS = torch.randint(1, 30, (N, TOKENS), generator=GENERATOR)
IDS[:, 0] = 1 + Y
IDS[torch.arange(TOKENS) >= LENGTHS[:, None]] = 0
IMAGES = torch.randn(N, 2, 5, 5, generator=GENERATOR) + Y[:, None, None, None]
X = IMAGES.flatten(1)[:, :6]


class Packed(nn.Module):
    """A classifier of sequences as most tutorials build it; `told`: how long these are."""

    def __init__(self, told, layers=1):
        super().__init__()
        torch.manual_seed(0)
        self.told, self.words = told, nn.Embedding(30, 4, padding_idx=0)
        self.first = nn.LSTM(4, 5, batch_first=True, bidirectional=True)
        self.second = nn.GRU(10, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, ids, text_lengths=None):
        lengths = text_lengths if self.told else (ids != 0).sum(1)
        words = pack_padded_sequence(
            self.words(ids), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.second(self.first(words)[0])
        return self.head(last[0])


def by_hand(model, mean_of_words):
    """Return D of the embedding and of both layers, of the mean over the tokens that count."""

    def mean(h):
        return torch.stack([one[:n].mean(0) for one, n in zip(h, LENGTHS, strict=True)])

    with torch.no_grad():
        words = model.words(IDS)
        packed = pack_padded_sequence(words, LENGTHS, batch_first=True, enforce_sorted=False)
        first = model.first(packed)[0]
        stages = [pad_packed_sequence(h, True)[0] for h in (first, model.second(first)[0])]
    start = mean(words) if mean_of_words else words
    return [data_separation(h, Y) for h in (start, *map(mean, stages))]


@pytest.mark.parametrize("by", [0, 9])
def test_packed_sequences_with_their_lengths_are_the_same_for_any_padding(by):
    model = Packed(told=True)
    ids = nn.functional.pad(IDS, (0, by))
    curve = load_curve(model, ((ids, LENGTHS), Y), batch_size=5)
    assert curve.layers == ("words", "first", "second")
    np.testing.assert_allclose(curve.separation, by_hand(model, mean_of_words=True), rtol=1e-5)


@pytest.mark.parametrize("pool", [None, "mean"])
def test_packed_sequences_know_their_lengths(pool):
    model = Packed(told=False)
    curve = load_curve(model, IDS, Y, pool=pool)
    expected = by_hand(model, mean_of_words=pool == "mean")
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)


def test_lengths_that_are_none():
    """A column of that name that doesn't fit the sequences says nothing about them."""

    class Lines(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.map, self.act = nn.Linear(5, 4), nn.ReLU()

        def forward(self, x, length):
            return self.act(self.map(x))

    x = IMAGES[:, 0]
    expected = load_curve(nn.Sequential(Lines().map, nn.ReLU()), x, Y).separation
    for length in (torch.full((N,), 6), torch.zeros(N).long(), torch.ones(N)):
        curve = load_curve(Lines(), ((x, length), Y))
        np.testing.assert_allclose(curve.separation, expected, rtol=1e-6)


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 3))


def test_a_list_of_images():
    expected = load_curve(convolutional(), IMAGES, Y)
    assert expected.layers[0] == "images"
    curve = load_curve(convolutional(), (list(IMAGES), Y))
    np.testing.assert_array_equal(curve.separation, expected.separation)


class Detector(nn.Module):
    """Takes a list of images, each of its own size, as those that find objects do."""

    def __init__(self):
        super().__init__()
        self.net = convolutional()

    def forward(self, images: list[torch.Tensor]):
        assert isinstance(images, list)
        return self.net(torch.stack([image[:, :5, :5] for image in images]))


def test_a_model_that_takes_a_list_of_images():
    expected = load_curve(convolutional(), IMAGES, Y).separation
    batches = [(list(IMAGES[part]), Y[part]) for part in torch.arange(N).split(7)]
    np.testing.assert_allclose(load_curve(Detector(), batches).separation, expected, rtol=1e-6)
    wider = [torch.cat([image, image], 1 + n % 2) for n, image in enumerate(IMAGES)]
    with pytest.raises(TypeError, match="no tensor that could be l = 0; yield tensors of one shap"):
        load_curve(Detector(), [(wider, Y)])


class Graph(nn.Module):
    """Each node takes in its neighbours; pooled, a row for each graph."""

    def __init__(self, graphs=None):
        super().__init__()
        torch.manual_seed(0)
        self.graphs, self.maps = graphs, nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])

    def forward(self, x, edge_index):
        source, target = edge_index
        for layer in self.maps:
            x = torch.relu(layer(x).index_add(0, target, x[source]))
        return x


EDGES = torch.randint(0, N, (2, 30), generator=GENERATOR)


def test_a_graph_is_a_batch():
    graph = {"x": X, "edge_index": EDGES, "labels": Y}
    curve = load_curve(Graph(), [graph])
    assert curve.layers == ("inputs", "relu()", "relu()#2")
    with torch.no_grad():
        assert curve.separation[2] == pytest.approx(data_separation(Graph()(X, EDGES), Y))
    with pytest.raises(
        ValueError, match=r"^labels: .*, or a list of batches, as of graphs: \[data"
    ):
        load_curve(Graph(), graph)


class Named:
    """Named parts that are no mapping, as graphs of other libraries are."""

    def __init__(self, **parts):
        self.parts = parts

    def keys(self):
        return list(self.parts)

    def __getitem__(self, name):
        return self.parts[name]

    def __iter__(self):
        return iter(self.parts.items())

    def to(self, device):
        return Named(**{name: part.to(device) for name, part in self.parts.items()})


def test_a_graph_of_another_library():
    class Whole(Graph):
        def forward(self, graph):
            return super().forward(graph["x"], graph["edge_index"])

    expected = load_curve(Graph(), [((X, EDGES), Y)])
    curve = load_curve(Whole(), [Named(edge_index=EDGES, y=Y, x=X)], lambda graph: graph["y"])
    assert curve.layers == expected.layers == ("inputs", "relu()", "relu()#2")
    np.testing.assert_array_equal(curve.separation, expected.separation)


def test_a_class_token_that_is_the_same_for_all_ahead_of_any_attention():
    """As BERT's, for a pool that is a function: the embedding is measured whole."""

    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.words, self.map = nn.Embedding(30, 4), nn.Linear(4, 4)

        def forward(self, ids):
            h = self.words(ids)
            return torch.tanh(self.map(h + h.mean(1, keepdim=True)))

    ids = torch.cat([torch.zeros(N, 1).long(), IDS], 1)
    model = Mixing()
    stress = report(model, (ids, Y), pool=lambda h: h[:, 0])
    with torch.no_grad():
        expected = [data_separation(model.words(ids), Y), data_separation(model(ids)[:, 0], Y)]
    assert stress.layers == ("words", "tanh()")
    np.testing.assert_allclose(stress.train.mean, expected, rtol=1e-5)


def test_a_lightning_module_without_a_forward_pass():
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = convolutional()

        def training_step(self, batch, number):
            images, labels = batch
            return nn.functional.cross_entropy(self.net(images), labels)

    batches = [(IMAGES[part], Y[part]) for part in torch.arange(N).split(7)]
    with pytest.raises(TypeError, match=r"^model: Module has no forward pass; give forward=, such"):
        load_curve(Module(), batches)
    curve = load_curve(
        Module(), batches, forward=lambda model, batch: model.training_step(batch, 0)
    )
    assert curve.layers == ("images", "net.1")
    expected = load_curve(convolutional(), IMAGES, Y, batch_size=7).separation
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-6)


def test_rows_that_are_no_samples_are_refused():
    """Two graphs in one batch, with a label for each."""
    few = {"x": X, "edge_index": EDGES, "labels": torch.tensor([0, 1])}
    with pytest.raises(ValueError, match=r"^labels: shape \(2,\) does not match .* \(18, 6\)"):
        load_curve(Graph(), [few])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (nn.functional.one_hot(Y), r"^labels: shape \(18, 3\) .*, such as labels\.argmax\(1\)"),
        (torch.stack([Y, Y], 1), r"^labels: shape \(18, 2\) given; give the class of each sample"),
        (torch.zeros(N, 5, 5).long(), r"^labels: shape \(18, 5, 5\) given; give the class of each"),
    ],
)
def test_labels_of_several_values(labels, message):
    with pytest.raises(ValueError, match=message):
        report(convolutional(), (IMAGES, labels))


def test_a_list_of_sequences_of_several_lengths():
    sequences = [ids[:n] for ids, n in zip(IDS, LENGTHS, strict=True)]
    with pytest.raises(ValueError, match=r"^data: samples of shapes \(3,\) and \(4,\); pad them"):
        load_curve(Packed(told=False), (sequences, Y))


def test_an_exported_model_is_refused_by_name():
    exported = torch.export.export(nn.Sequential(nn.Linear(6, 3), nn.ReLU()), (X,))
    for function in (load_curve, report):
        with pytest.raises(
            TypeError, match=r"^model: ExportedProgram, exported, .*the original mo"
        ):
            function(exported, X, Y)


def test_a_moving_average_is_measured_as_the_model_inside():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    averaged = torch.optim.swa_utils.AveragedModel(model)
    expected = load_curve(model, X, Y)
    curve = load_curve(averaged, X, Y)
    assert curve.layers == expected.layers == ("inputs", "1")
    np.testing.assert_array_equal(curve.separation, expected.separation)


@pytest.mark.filterwarnings("ignore")  # of the quantisation, which is to move
def test_a_quantised_recurrent_network_gives_the_layers_of_its_float_twin():
    if torch.backends.quantized.engine == "none":
        pytest.skip("this machine has no quantised arithmetic")

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.rnn, self.head = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    twin = Last()
    quantised = torch.ao.quantization.quantize_dynamic(twin, {nn.LSTM, nn.Linear})
    curves = [load_curve(model, IMAGES[:, 0], Y) for model in (twin, quantised)]
    assert curves[0].layers == curves[1].layers == ("inputs", "rnn")
    np.testing.assert_allclose(curves[1].separation, curves[0].separation, atol=0.1)


class Interrupted(nn.Linear):
    """Gets Ctrl-C whenever its mode changes."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "training" and getattr(self, "ready", False):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("when", ["as it begins", "as it ends"])
def test_ctrl_c_leaves_no_mode_changed_and_no_lock_locked(when):
    last = Interrupted(3, 3)
    model = nn.Sequential(nn.Linear(3, 3), last, nn.Dropout())
    ran = []
    last.ready = when == "as it begins"

    def run():
        with evaluation_mode(model):
            ran.append(not any(module.training for module in model.modules()))
            last.ready = True

    with pytest.raises(KeyboardInterrupt):
        run()
    assert ran == [True] * (when == "as it ends")
    assert all(module.training for module in model.modules())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    last.ready = False

    def use():
        with evaluation_mode(model):
            ran.append("by another thread")

    other = threading.Thread(target=use, daemon=True)
    other.start()
    other.join(10)
    assert ran[-1] == "by another thread"


def test_samples_of_different_numbers_of_parts_are_refused():
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 10))
    with pytest.raises(ValueError, match="data: samples of different numbers of parts"):
        evaluate(network, ([0.0, 0.0, 0.0], [0.0, 0.0]))
