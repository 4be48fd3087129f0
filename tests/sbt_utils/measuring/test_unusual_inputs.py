"""Inputs that PyTorch or NumPy know and measurements do not take: errors name what to do."""

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.measuring.evaluation import accuracy, evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import report
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = torch.arange(30) % 3
INPUTS = torch.randn(30, 12, generator=torch.Generator().manual_seed(0))
RAGGED = [torch.ones(3), torch.ones(4)] * 15
MODEL = MLP(inputs=12, width=8, hidden_layers=3)


def on_arrays(inputs, labels):
    train(MODEL, inputs, labels, epochs=1, progress=False)


def on_a_loader(inputs, labels):
    load_curve(MODEL, [(inputs, labels)])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("kind", ["sparse_coo", "sparse_csr", "nested", "jagged", "meta"])
@pytest.mark.parametrize(
    "function",
    [
        data_separation,
        lambda *data: load_curve(MODEL, *data),
        lambda *data: evaluate(MODEL, *data),
        lambda *data: accuracy(MODEL, data),
        lambda *data: report(MODEL, data),
        on_arrays,
        on_a_loader,
    ],
)
def test_tensors_that_are_not_dense(function, kind):
    inputs = {
        "sparse_coo": INPUTS.to_sparse,
        "sparse_csr": INPUTS.to_sparse_csr,
        "nested": lambda: torch.nested.nested_tensor(RAGGED),
        "jagged": lambda: torch.nested.nested_tensor(RAGGED, layout=torch.jagged),
        "meta": lambda: INPUTS.to("meta"),
    }[kind]()
    name = {"jagged": "nested"}.get(kind, kind)
    with pytest.raises(TypeError, match=rf"^(features|data): a {name} tensor given; give "):
        function(inputs, LABELS)


@pytest.mark.parametrize("labels", [LABELS.to("meta"), LABELS.to_sparse()])
def test_labels_that_are_not_dense(labels):
    for function in (data_separation, lambda *data: evaluate(MODEL, *data), on_a_loader):
        with pytest.raises(TypeError, match=r"^labels: a (meta|sparse_coo) tensor given; give "):
            function(INPUTS, labels)


def test_ragged_sequences():
    with pytest.raises(ValueError, match=r"^features: rows of different lengths; give all one sha"):
        data_separation([[1.0], [2.0, 3.0]] * 15, LABELS)
    for function in (data_separation, lambda *data: evaluate(MODEL, *data), on_a_loader):
        with pytest.raises(ValueError, match=r"^labels: rows of different lengths; give all one s"):
            function(INPUTS, [[1], [2, 3]] * 15)


def test_arrays_of_other_things_than_numbers():
    for function in (lambda *data: load_curve(MODEL, *data), on_arrays, on_a_loader):
        with pytest.raises(TypeError, match=r"^data: an array of object given; give numbers"):
            function(np.array([[None] * 12] * 30), LABELS)


def test_masked_arrays_are_not_taken_for_whole_ones():
    masked = np.ma.masked_greater(INPUTS.numpy(), 1)
    for function in (data_separation, lambda *data: evaluate(MODEL, *data), on_a_loader):
        with pytest.raises(TypeError, match=r"^(features|data): a masked array given; leave such "):
            function(masked, LABELS)


def test_a_model_that_fails_says_on_what():
    with pytest.raises(RuntimeError, match="running_mean") as caught:
        load_curve(MODEL, INPUTS[:, :5], LABELS)
    assert caught.value.__notes__ == ["in the model, with inputs of (30, 5) and torch.float32"]


@pytest.mark.parametrize("measure", [None, [], np.array(["trace", "fuzziness"])])
def test_measures_that_are_no_names(measure):
    with pytest.raises(ValueError, match="is unknown; choose one of"):
        data_separation(INPUTS, LABELS, measure)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize(
    "model", [MODEL, nn.Sequential(*MODEL)[2:], CNN(inputs=1, size=4, hidden_layers=2)]
)
def test_images_of_integers(model, dtype):
    """For a model without an embedding, which integers are for."""
    shape = (30, 1, 4, 4) if isinstance(model, CNN) else (30, 12)
    images = torch.ones(shape, dtype=dtype)
    message = rf"^data: inputs of {dtype} do not suit the model .*images\.float\(\) / 255"
    for function in (load_curve, evaluate, accuracy, lambda m, *data: report(m, data)):
        with pytest.raises(TypeError, match=message):
            function(model, images, LABELS)


def test_training_images_of_another_type():
    with pytest.raises(ValueError, match=r"^images of torch\.uint8, .*images\.float\(\) / 255"):
        on_arrays(torch.ones(30, 12, dtype=torch.uint8), LABELS)
    with pytest.raises(
        ValueError, match=r"^images of torch\.float64, .*images\.to\(torch\.float32"
    ):
        on_arrays(INPUTS.double(), LABELS)


def test_a_nan_comes_with_its_sample_and_its_batch():
    inputs = INPUTS.clone()
    inputs[17, 3] = torch.nan
    for function in (load_curve, report):
        with pytest.raises(ValueError, match=r"^features: sample 5 of batch 2 holds NaN"):
            function(MODEL, (inputs, LABELS), batch_size=6)
    for function in (evaluate, accuracy):
        with pytest.raises(ValueError, match=r"^data: sample 17 holds NaN or infinite values; "):
            function(MODEL, inputs, LABELS)


@pytest.mark.parametrize("networks", [None, 3, MODEL.state_dict, iter([None]), "ab"])
def test_what_is_no_network(networks):
    with pytest.raises(TypeError, match=r"^(model|networks): .* given; give "):
        evaluate(networks, INPUTS, LABELS)


def test_networks_that_do_not_compare():
    with pytest.raises(ValueError, match=r"^networks: of 3 and 2 layers; give .* same number"):
        evaluate([MODEL, MLP(inputs=12, hidden_layers=2)], INPUTS, LABELS)
    with pytest.raises(ValueError, match=r"^labels: class 22, but the networks tell 10 apart"):
        evaluate(MODEL, INPUTS, LABELS + 20)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = MODEL

    def forward(self, x):
        return {"logits": self.body(x)}


def test_outputs_and_labels_that_give_no_accuracy():
    for function in (evaluate, accuracy):
        with pytest.raises(TypeError, match=r"^model: its output is dict; give one whose output"):
            function(Named(), INPUTS, LABELS)
    with pytest.raises(TypeError, match=r"^model: int given; give a torch\.nn\.Module$"):
        accuracy(3, INPUTS, LABELS)
    with pytest.raises(ValueError, match=r"^labels: shape \(30, 3\) .*give one label per sample"):
        accuracy(MODEL, INPUTS, nn.functional.one_hot(LABELS))
    with pytest.raises(TypeError, match=r"^labels: torch\.float32 given; convert them to integers"):
        accuracy(MODEL, INPUTS, LABELS.float())
    with pytest.raises(ValueError, match=r"^data: no samples; give one or more$"):
        accuracy(MODEL, INPUTS[:0], LABELS[:0])


def test_a_loader_that_fails_keeps_its_error():
    def loader():
        yield INPUTS, LABELS
        b"\xff".decode()

    for function in (load_curve, report, evaluate):
        with pytest.raises(UnicodeDecodeError, match="invalid start byte"):
            function(MODEL, loader())


@pytest.mark.parametrize("pool", [3, "max", ["mean"]])
def test_a_pool_that_is_none(pool):
    with pytest.raises(TypeError, match=r"^pool: .* given; give one of 'mean', 'cls', 'last', or"):
        load_curve(MODEL, INPUTS, LABELS, pool=pool)


def test_a_pool_that_returns_no_tensor():
    with pytest.raises(TypeError, match=r"^pool: returns NoneType; give a function that returns"):
        load_curve(MODEL, INPUTS, LABELS, pool=lambda features: None)
