"""Models called as their users call them, and features of the tokens that count alone."""

import copy
from collections import OrderedDict, UserDict, namedtuple

import numpy as np
import pytest
import torch
from models import fingerprint
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sbt_utils.measuring.evaluation import accuracy
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")

N, TOKENS, WORDS, WIDTH, CLASSES = 24, 7, 30, 8, 3
LENGTHS = torch.arange(N) % 5 + 3
Y = torch.arange(N) // 8
GENERATOR = torch.Generator().manual_seed(0)
IDS = torch.randint(2, WORDS, (N, TOKENS), generator=GENERATOR)
IDS[:, 0] = 1  # as of a class token
IDS[:, 1] = 2 + 9 * Y
MASK = torch.arange(TOKENS) < LENGTHS[:, None]
IDS[~MASK] = 0
X = torch.randn(N, 5, generator=GENERATOR) + Y[:, None]


class Encoder(nn.Module):
    """Takes what Hugging Face's encoders do; one block of PyTorch's for each layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(64, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True, dropout=0.1)
        self.encoder = nn.TransformerEncoder(block, 3, enable_nested_tensor=False)
        for layer in self.encoder.layers:  # copies of one
            nn.init.normal_(layer.linear1.weight)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        hidden = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1]))
        padding = None if attention_mask is None else attention_mask == 0
        hidden = self.encoder(hidden, src_key_padding_mask=padding)
        logits = self.head(hidden[:, 0])
        assert labels is None, "no loss is wanted"
        return {"logits": logits}


@pytest.fixture(scope="module")
def encoder():
    return Encoder().eval()


def padded(by, value=0):
    """Return the same sentences, with so many pad tokens more."""
    ids = nn.functional.pad(IDS, (0, by), value=value)
    return {"input_ids": ids, "attention_mask": nn.functional.pad(MASK, (0, by)).long()}


@pytest.fixture(scope="module")
def features(encoder):
    """Features (N, tokens, d) of the embedding and of each block, by plain hooks."""
    found = []
    hooks = [
        module.register_forward_hook(lambda m, args, out: found.append(out))
        for module in (encoder.words, *encoder.encoder.layers)
    ]
    with torch.no_grad():
        encoder(**padded(0))
    for hook in hooks:
        hook.remove()
    return found


def mean_over_tokens(h):
    return torch.stack([one[:n].double().mean(0) for one, n in zip(h, LENGTHS, strict=True)])


def last_token(h):
    return h[torch.arange(N), LENGTHS - 1]


LAYERS = ("words", "encoder.layers.0", "encoder.layers.1", "encoder.layers.2")


# Masks and pools -----------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["trace", "fuzziness"])
@pytest.mark.parametrize(
    ("pool", "by_hand"),
    [
        (None, mean_over_tokens),
        ("mean", mean_over_tokens),
        ("last", last_token),
        (lambda h, mask: (h * mask[..., None]).sum(1), lambda h: (h * MASK[..., None]).sum(1)),
        (lambda h: h[:, 2], lambda h: h[:, 2]),
    ],
)
def test_masked_tokens_enter_no_features(encoder, features, pool, by_hand, measure):
    expected = [data_separation(by_hand(h), Y, measure) for h in features]
    curves = [load_curve(encoder, padded(by), Y, None, measure, 5, pool) for by in (0, 20)]
    for curve in curves:
        assert curve.layers == LAYERS
        np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)
    np.testing.assert_allclose(curves[0].separation, curves[1].separation, rtol=1e-6)


@pytest.mark.parametrize("pool", [None, "mean", "cls", "last"])
def test_a_report_is_the_same_for_any_padding(encoder, pool):
    encoder = copy.deepcopy(encoder).double()
    maps = [
        report(encoder, {**padded(by, value), "labels": Y}, pool=pool, batch_size=7)
        for by, value in ((0, 0), (20, 3))
    ]
    np.testing.assert_allclose(maps[0].train.separation, maps[1].train.separation, rtol=1e-6)


@pytest.mark.parametrize("measure", ["trace", "fuzziness"])
@pytest.mark.parametrize("batch_size", [1, 5, 24])
def test_l_0_does_not_depend_on_the_first_batch(encoder, batch_size, measure):
    ids = IDS.clone()
    ids[-2:, 0] = torch.tensor([7, 8])  # the last two begin with words of their own
    with torch.no_grad():
        words = encoder.words(ids[:, 0])
    batches = zip(*(part.split(batch_size) for part in (ids, MASK.long(), Y)), strict=True)
    data = [((ids, mask), labels) for ids, mask, labels in batches]
    curve = load_curve(encoder, data, pool="cls", measure=measure)
    np.testing.assert_allclose(curve.separation[0], data_separation(words, Y, measure), rtol=1e-5)
    if measure == "trace":
        stress = report(encoder, data, pool="cls", resamples=40)
        np.testing.assert_allclose(stress.train.mean, curve.separation, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 24])
def test_a_class_token_that_is_the_same_for_all_is_not_l_0(encoder, features, batch_size):
    curve = load_curve(encoder, padded(3), Y, pool="cls", batch_size=batch_size)
    expected = [data_separation(mean_over_tokens(features[0]), Y)]
    expected += [data_separation(h[:, 0], Y) for h in features[1:]]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)


def test_tokens_on_the_right_of_the_padding(encoder, features):
    """The first and the last token that count lie elsewhere where padding comes first."""
    ids, mask = IDS.flip(1), MASK.flip(1)
    batch = {"input_ids": ids, "attention_mask": mask.long()}
    found = []
    hook = encoder.encoder.layers[-1].register_forward_hook(lambda m, a, out: found.append(out))
    with torch.no_grad():
        encoder(**batch)
    hook.remove()
    first = found[0][torch.arange(N), TOKENS - LENGTHS]
    for pool, by_hand in (("cls", first), ("last", found[0][:, -1])):
        curve = load_curve(encoder, batch, Y, layers=[LAYERS[-1]], pool=pool)
        assert curve.separation[-1] == pytest.approx(data_separation(by_hand, Y), rel=1e-5)


def test_ragged_batches(encoder, features):
    """Each batch padded to its own longest sentence."""
    batches = []
    for part in torch.arange(N).split(5):
        longest = int(LENGTHS[part].max())
        ids, mask = IDS[part, :longest], MASK[part, :longest]
        batches.append({"input_ids": ids, "attention_mask": mask, "label": Y[part]})
    expected = [data_separation(mean_over_tokens(h), Y) for h in features]
    np.testing.assert_allclose(load_curve(encoder, batches).separation, expected, rtol=1e-5)
    bare = [(batch["input_ids"], batch["label"]) for batch in batches]
    bare[0] = (bare[0][0][:, :3], bare[0][1])
    with pytest.raises(ValueError, match=r"give all samples one shape, or pool=, such as pool='me"):
        load_curve(encoder, bare)
    assert load_curve(encoder, bare, pool="mean").layers == LAYERS


def test_ragged_sequences_of_vectors():
    torch.manual_seed(0)
    batches = [
        (torch.randn(6, length, 5) + Y[:6, None, None], torch.arange(6) % 2) for length in (4, 6)
    ]
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU())
    curve = load_curve(model, batches, pool="mean")
    labels = torch.cat([y for _, y in batches])
    for stage, value in ((nn.Identity(), 0), (model, 1)):
        with torch.no_grad():
            pooled = torch.cat([stage(x).mean(1) for x, _ in batches])
        assert curve.separation[value] == pytest.approx(data_separation(pooled, labels), rel=1e-5)


def test_a_mask_of_the_user(encoder, features):
    pairs = [(IDS[part], Y[part]) for part in torch.arange(N).split(9)]
    forward = lambda model, batch: model(batch[0], batch[0] != 0)  # noqa: E731
    curve = load_curve(encoder, pairs, mask=lambda batch: batch[0] != 0, forward=forward)
    expected = [data_separation(mean_over_tokens(h), Y) for h in features]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)


class Bag(nn.Module):
    """Masks nothing by itself, but its embedding knows what pads."""

    def __init__(self, padding_idx=0):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(WORDS, WIDTH, padding_idx=padding_idx)
        self.act = nn.Tanh()

    def forward(self, ids):
        return self.act(self.words(ids))


def test_what_an_embedding_knows_as_padding_is_no_token():
    model, ids = Bag(), padded(0)["input_ids"]
    curves = [load_curve(model, padded(by)["input_ids"], Y, pool="mean") for by in (0, 20)]
    with torch.no_grad():
        expected = [data_separation(mean_over_tokens(h), Y) for h in (model.words(ids), model(ids))]
    for curve in curves:
        np.testing.assert_allclose(curve.separation, expected, rtol=1e-6)
    # Without a pool features count whole, as they are.
    with torch.no_grad():
        whole = [data_separation(h, Y) for h in (model.words(ids), model(ids))]
    np.testing.assert_allclose(load_curve(model, ids, Y).separation, whole, rtol=1e-6)


class Signals(nn.Module):
    """Takes PyTorch's mask, and halves the number of tokens."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.mix, self.act = nn.Linear(5, 4), nn.ReLU()
        self.halve, self.last = nn.Linear(8, 4), nn.Tanh()

    def forward(self, x, src_key_padding_mask):
        x = self.act(self.mix(x))
        return self.last(self.halve(x.reshape(len(x), -1, 8)))


def test_features_of_another_length_than_the_mask():
    x = torch.randn(N, 6, 5, generator=GENERATOR) + Y[:, None, None]
    hidden = torch.zeros(N, 6, dtype=torch.bool)
    hidden[:, 4:] = True
    model = Signals()
    with pytest.warns(UserWarning, match="features of last have no axis of its length behind the"):
        curve = load_curve(model, ((x, hidden), Y))
    assert curve.layers == ("inputs", "act", "last")
    with torch.no_grad():
        act = torch.relu(model.mix(x))
        expected = [x[:, :4].mean(1), act[:, :4].mean(1), model(x, hidden)]
    expected = [data_separation(h, Y) for h in expected]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)
    whole = load_curve(model, ((x, torch.zeros_like(hidden)), Y))  # nothing hidden, no warning
    assert whole.separation[2] == curve.separation[2]


# Batches of all forms ------------------------------------------------------------------------

Row = namedtuple("Row", "input_ids attention_mask labels")
WHOLE = {**padded(0), "labels": Y}
DICTS = [{name: column[i] for name, column in WHOLE.items()} for i in range(N)]
RAGGED = [
    {
        "input_ids": IDS[i, : LENGTHS[i]].tolist(),
        "attention_mask": [1] * int(LENGTHS[i]),
        "text": "a sentence",
        "label": int(Y[i]),
    }
    for i in range(N)
]


def chunks(*columns):
    return zip(*(column.split(7) for column in columns), strict=True)


FORMS = {
    "whole mapping": WHOLE,
    "mapping and labels": (padded(0), Y),
    "mapping and a list": (padded(0), Y.tolist()),
    "arrays and labels": ((IDS, MASK.long()), Y),
    "lists of numbers": {name: column.tolist() for name, column in WHOLE.items()},
    "loader of mappings": DataLoader(DICTS, batch_size=7),
    "list of samples": DICTS,
    "samples of different lengths": RAGGED,
    "mappings of another class": [
        UserDict(input_ids=i, attention_mask=m, labels=y) for i, m, y in chunks(IDS, MASK, Y)
    ],
    "with a column that the model does not take": [
        {"input_ids": i, "attention_mask": m, "targets": y, "idx": y, "text": ["a"] * len(y)}
        for i, m, y in chunks(IDS, MASK, Y)
    ],
    "nested pairs": [((i, m), y) for i, m, y in chunks(IDS, MASK, Y)],
    "a mapping and labels, batch by batch": [
        ({"attention_mask": m, "input_ids": i}, y) for i, m, y in chunks(IDS, MASK, Y)
    ],
    "tensor data set": TensorDataset(IDS, MASK, Y),
    "loader of triples": DataLoader(TensorDataset(IDS, MASK, Y), batch_size=7),
    "triples and an index": DataLoader(TensorDataset(IDS, MASK, Y, Y), batch_size=7),
    "named tuples": [Row(*parts) for parts in chunks(IDS, MASK, Y)],
    "arrays of NumPy": {name: column.numpy() for name, column in WHOLE.items()},
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_all_forms_give_one_curve(encoder, features, data):
    before = fingerprint(encoder)
    curve = load_curve(encoder, data, batch_size=7, measure="fuzziness")
    expected = [data_separation(mean_over_tokens(h), Y, "fuzziness") for h in features]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)
    assert fingerprint(encoder) == before
    trace = [data_separation(mean_over_tokens(h), Y) for h in features]
    np.testing.assert_allclose(report(encoder, data).train.mean, trace, rtol=1e-5)


def test_readme_s_five_lines(encoder):
    loader, other = DataLoader(DICTS, batch_size=8), DICTS
    stress = report(encoder, loader, other)
    assert stress.table.layer.tolist() == list(LAYERS[1:])
    assert stress.images == (N, N)
    np.testing.assert_allclose(stress.train.mean, stress.test.mean, rtol=1e-6)
    assert report(encoder, padded(0), Y).images == (N,)


def test_a_tuple_of_one_input_is_the_input():
    whole = load_curve(MODEL, X, Y)
    assert load_curve(MODEL, [((X,), Y)]).separation.tolist() == whole.separation.tolist()


def test_an_index_behind_the_labels_is_left_alone():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
    expected = load_curve(model, X, Y).separation
    for data in ([(X, Y, torch.arange(N))], [[X, Y, ["name"] * N]]):
        np.testing.assert_array_equal(load_curve(model, data).separation, expected)


class Lengths(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.act = nn.Linear(5, 6), nn.ReLU()

    def forward(self, x, lengths, scale=1.0):
        return self.act(self.linear(x) / lengths[:, None] * scale)


def test_whole_numbers_that_the_model_needs_are_no_labels():
    model = Lengths()
    curve = load_curve(model, [(X, LENGTHS, Y)])
    with torch.no_grad():
        expected = [data_separation(h, Y) for h in (X, model(X, LENGTHS))]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-6)


class Takes(nn.Module):
    """Takes the whole mapping, as sentence-transformers do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.act = nn.Linear(5, 6), nn.ReLU()

    def forward(self, features):
        return {**features, "made": self.act(self.linear(features["pixels"]))}


class Steps(nn.Module):
    """Has no forward pass of its own, like some of Lightning's modules."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.act = nn.Linear(5, 6), nn.ReLU()

    def training_step(self, batch, number):
        return self.act(self.linear(batch.x)).sum()


class Graph:
    """A batch of another library: neither a tuple nor a mapping."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def to(self, device):
        return Graph(self.x.to(device), self.y)

    def __getitem__(self, name):
        return {"x": self.x, "y": self.y}[name]


def test_a_mapping_that_the_model_takes_whole():
    curve = load_curve(Takes(), {"pixels": X, "labels": Y})
    assert curve.layers == ("inputs", "act")
    assert curve.separation[0] == data_separation(X, Y)


def test_a_model_without_a_forward_pass():
    model = Steps()
    with pytest.raises(TypeError, match=r"^model: Steps has no forward pass; give forward=, such"):
        load_curve(model, X, Y)
    Batch = namedtuple("Batch", "x y index")
    forward = lambda model, batch: model.training_step(batch, 0)  # noqa: E731
    curve = load_curve(model, [Batch(X, Y, None)], forward=forward)
    reference = load_curve(nn.Sequential(model.linear, model.act), X, Y)
    np.testing.assert_array_equal(curve.separation, reference.separation)
    stress = report(model, [Batch(X, Y, None)], forward=forward, labels=lambda batch: batch.y)
    np.testing.assert_allclose(stress.train.mean, reference.separation)
    with pytest.raises(TypeError, match=r"^data: a batch holds no tensor that could be l = 0"):
        load_curve(model, [Graph(X, Y)], forward=forward, labels=lambda batch: batch.y)


def test_labels_that_a_function_finds():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
    expected = load_curve(model, X, Y).separation
    soft = nn.functional.one_hot(Y).float()
    for data in ((X, soft), [(X, soft)], [{"input": X, "soft": soft}]):

        def find(batch):
            return (batch["soft"] if isinstance(batch, dict) else batch[1]).argmax(-1)

        np.testing.assert_array_equal(load_curve(model, data, find).separation, expected)
        np.testing.assert_allclose(report(model, data, labels=find).train.mean, expected)


class Samples(Dataset):
    """One sample after the other, and no end to the numbers that it takes."""

    def __len__(self):
        return N

    def __getitem__(self, number):
        return X[number % N], int(Y[number % N])


def test_a_data_set_of_single_samples():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
    expected = load_curve(model, X, Y, batch_size=7).separation
    np.testing.assert_array_equal(load_curve(model, Samples(), batch_size=7).separation, expected)
    assert accuracy(model, Samples()) == accuracy(model, (X, Y))


# Compiled, keyword, mixed --------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # of the compiler's own
def test_compiled_models():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU())
    expected = load_curve(model, X, Y)
    whole = torch.compile(copy.deepcopy(model), backend="eager", fullgraph=True)
    whole(X)  # has run
    inner = copy.deepcopy(model)
    inner[2] = torch.compile(inner[2], backend="eager")
    inner(X)
    parallel = nn.DataParallel(copy.deepcopy(model))
    for one in (whole, inner, parallel):
        curve = load_curve(one, X, Y)
        assert curve.layers == expected.layers
        np.testing.assert_array_equal(curve.separation, expected.separation)
    assert torch.equal(whole(X), model(X))  # compiled as before


class Keyword(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.act = nn.Embedding(WORDS, WIDTH), nn.ReLU()

    def forward(self, ids):
        return self.act(input=self.words(input=ids))


def test_an_embedding_that_is_called_by_keyword():
    assert load_curve(Keyword(), IDS, Y).layers == ("words", "act")


def test_a_norm_behind_other_layers_is_not_where_the_curve_starts():
    torch.manual_seed(0)
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 3, enable_nested_tensor=False
    )
    x = torch.randn(N, TOKENS, 16) + Y[:, None, None]
    curve = load_curve(model, x, Y)
    assert curve.layers == ("inputs", "layers.0", "layers.1", "layers.2")
    assert curve.separation[0] == data_separation(x, Y)


def test_samples_that_the_model_takes_for_tokens():
    torch.manual_seed(0)
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32), 3, enable_nested_tensor=False
    )
    x = torch.randn(N, N, 16) + Y[:, None, None]
    message = r"^layer 'layers\.0': the features of a sample depend on the other samples .*batch_fi"
    with pytest.raises(ValueError, match=message):
        load_curve(model, x, Y)
    # Sequences first, as the model wants them: samples are on the second axis.
    x = x[:, :TOKENS]
    twin = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 3, enable_nested_tensor=False
    )
    twin.load_state_dict(model.state_dict())
    curve = load_curve(model, [(x.movedim(1, 0), Y)])
    np.testing.assert_allclose(curve.separation, load_curve(twin, x, Y).separation, rtol=1e-5)


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.act, self.two = nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6).double()

    def forward(self, x):
        return self.act(self.two(self.act(self.one(x))))


def test_models_of_mixed_types():
    message = r"^model: parameters of torch\.float32 and torch\.float64 do not work together"
    with pytest.raises(TypeError, match=message):
        load_curve(Mixed(), X, Y)
    norms = nn.Sequential(nn.Linear(5, 6), nn.ReLU()).bfloat16().append(nn.Softplus())
    norms.register_buffer("frequencies", torch.ones(3))  # of another type, harmless
    assert load_curve(norms, X, Y).layers[1:] == ("1", "2")


# Refused in words ----------------------------------------------------------------------------


class Table:
    """Stands for a DataFrame."""

    def to_numpy(self):
        return X.numpy()

    def __iter__(self):
        return iter("ab")


class Sparse:
    def toarray(self):
        return X.numpy()


MODEL = nn.Sequential(nn.Linear(5, 6), nn.ReLU())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Table(), r"^data: Table given; give an array, as its to_numpy\(\) returns"),
        ((Table(), Y), r"^data: Table given; give an array, as its to_numpy"),
        ([(Sparse(), Y)], r"^data: Sparse given; give an array, as its toarray\(\) returns"),
        (["one", "two"], r"^data: text given; give the numbers that a tokenizer makes of it"),
        ((["one", "two"], [0, 1]), r"^data: text given; give the numbers that a tokenizer"),
        ([(["one", "two"], torch.tensor([0, 1]))], r"^data: text given; give the numbers"),
        ({"ids": IDS}, r"^data: no 'labels' among ids; give labels, one per sample, or a func"),
        ({"ids": IDS, "labels": Y[1:]}, r"^labels: shape \(23,\) does not match inputs of shape"),
        ({"input": [[1.0], [2.0, 3.0]], "labels": Y[:2]}, r"^data: 'input': rows of different le"),
        ([{"input": X[0], "label": 0}, {"input": X[0, :4], "label": 1}], r"^data: 'input': sampl"),
        ([{"input": None, "y": X, "label": Y}], r"^data: a batch holds dict without any tensor"),
        (iter([X]), r"^data: a batch is Tensor; yield \(inputs, labels\) pairs, or give labels="),
    ],
)
def test_data_that_are_refused(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        load_curve(MODEL, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": lambda batch: None}, r"^mask: NoneType given for 24 samples; give a tensor"),
        ({"mask": lambda batch: Y}, r"^mask: shape \(24,\) given for 24 samples; give a tensor"),
        (
            {"mask": lambda batch: MASK & (LENGTHS != 3)[:, None]},
            r"^mask: sample 0 of a batch has ",
        ),
        ({"mask": MASK}, r"^mask: Tensor given; give a function, such as lambda batch: batch\[0\]"),
        ({"forward": 3}, r"^forward: int given; give a function, such as lambda model, batch"),
        ({"pool": "mean"}, r"^pool: 'mean' given, but no layer has features \(N, tokens, d\); le"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        load_curve(MODEL, X, Y, **options)


def test_a_layer_whose_name_is_long_or_steers_a_terminal():
    name = "α\x1b[31m" * 50
    model = nn.Sequential(OrderedDict([(name, nn.BatchNorm1d(5)), ("act", nn.ReLU())]))
    with pytest.raises(ValueError, match=r"^layers: 'α\\x1b.*\.\.\..*' alone is l = 0") as caught:
        load_curve(model, X, Y, layers=name)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
