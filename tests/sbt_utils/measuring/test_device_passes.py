"""The passes that a GPU takes, run on the CPU, against NumPy in float64."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.measuring import device_passes, scatter_passes
from sbt_utils.measuring.device_passes import add_block, exact_products, residuals, unit
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.scatter import ScatterStatistics, UndefinedSeparation
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.bootstrap import SKETCH, SampledScatter
from sbt_utils.reporting.stress_map import report

CLASSES = 4
# Digits of differences: rounding of 2^-24, and of sums of 512 of them.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-6, torch.int64: 1e-12}


@pytest.fixture
def on_device(monkeypatch):
    """Take the path of a GPU on the CPU."""
    monkeypatch.setattr(scatter_passes, "in_loops", lambda features: False)


def samples(dtype, width=37, count=700, offset=0.0, spread=1.0):
    rng = np.random.default_rng(width)
    labels = rng.integers(CLASSES, size=count)
    features = rng.normal(size=(CLASSES, width))[labels] + spread * rng.normal(size=(count, width))
    if dtype == torch.int64:
        features = features * 100
    return torch.from_numpy(features + offset).to(dtype), torch.from_numpy(labels)


def closed_form(features, labels, measure="trace"):
    """Return D by its definition, with NumPy's float64 and whole matrices."""
    x, labels = features.double().numpy(), labels.numpy()
    x = x - x.mean(0)
    means = np.stack([x[labels == row].mean(0) for row in range(CLASSES)])
    away, between = x - means[labels], means[labels] - x.mean(0)
    if measure == "trace":
        return np.log((away**2).sum() / (between**2).sum())
    within, between = away.T @ away / len(x), between.T @ between / len(x)
    return np.log(np.trace(within @ np.linalg.pinv(between, rcond=1e-9, hermitian=True)))


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("width", [1, 37, 1024, 2500])
def test_separation_is_that_of_the_definition(measure, dtype, width):
    features, labels = samples(dtype, width)
    expected = closed_form(features, labels, measure)
    assert data_separation(features, labels, measure) == pytest.approx(
        expected, abs=TOLERANCE[dtype] * 10
    )


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize("spread", [1.0, 1e-2])
def test_a_large_common_offset_costs_no_digits(measure, spread):
    features, labels = samples(torch.float32, offset=1e4, spread=spread)
    expected = closed_form(features, labels, measure)
    assert data_separation(features, labels, measure) == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("on_device")
def test_batches_may_be_split_anywhere_and_lack_classes():
    features, labels = samples(torch.float32)
    order = labels.argsort()
    scatter = ScatterStatistics()
    for part in order.split([1, 2, 300, 397]):
        scatter.update(features[part], labels[part])
    assert scatter.separation == pytest.approx(closed_form(features, labels), abs=1e-6)


def test_several_networks_at_once_are_each_as_alone():
    x = torch.stack([samples(torch.float32)[0][:200] + number for number in range(3)])
    rows = samples(torch.float32)[1][:200]
    origin = x[:, 0].double()
    counts, means = torch.zeros(CLASSES).double(), torch.zeros(3, CLASSES, 37).double()
    within, squares, away, first = add_block(x, origin, rows, counts, means)
    torch.testing.assert_close(away / unit(x), x - first[:, rows], rtol=0, atol=0)
    for number in range(3):
        alone, own = torch.zeros(CLASSES).double(), torch.zeros(1, CLASSES, 37).double()
        one = slice(number, number + 1)
        found = add_block(x[one], origin[one], rows, alone, own)
        expected = within[one], squares[one], away[one], first[one]
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
        torch.testing.assert_close(own, means[one], rtol=0, atol=1e-6)
        away_from_means = residuals(x[one], origin[one], own, rows)
        of_all = away_from_means.square().sum().double()
        torch.testing.assert_close(of_all, found[0][0], rtol=1e-6, atol=0)
    assert counts.tolist() == np.bincount(rows).tolist()


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_spoilt_sample_is_named_once_the_result_is_read(value):
    features, labels = samples(torch.float32)
    features[523, 3] = value
    scatter = ScatterStatistics()
    for start in range(0, 700, 350):
        scatter.update(features[start : start + 350], labels[start : start + 350])
    with pytest.raises(UndefinedSeparation, match="sample 173 of batch 1 holds NaN or infinite"):
        _ = scatter.separation


@pytest.mark.usefixtures("on_device")
def test_collapsed_features_leave_it_undefined():
    labels = samples(torch.float32)[1]
    means = torch.randn(CLASSES, 37, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UndefinedSeparation, match="zero variance within the classes"):
        data_separation(means[labels], labels)
    with pytest.raises(UndefinedSeparation, match="zero variance between the classes"):
        data_separation(torch.ones(700, 3), labels)


@pytest.mark.parametrize("width", [100, 900])
def test_the_influence_of_each_sample(width, monkeypatch):
    features, labels = samples(torch.float32, width)
    found = []
    for loops in (False, True):
        monkeypatch.setattr(scatter_passes, "in_loops", lambda features, loops=loops: loops)
        scatter = SampledScatter()
        for start in range(0, 700, 175):  # sketches are of the means so far: the same blocks
            scatter.update(features[start : start + 175], labels[start : start + 175])
        found.append(scatter.influence())
    np.testing.assert_allclose(*found, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize(("kind", "passes"), [(ScatterStatistics, 6), (SampledScatter, 8)])
def test_features_are_read_and_written_few_times(kind, passes):
    features, labels = samples(torch.float32, width=4 * SKETCH, count=200)
    found = []

    class Count(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if not func.is_view:
                name = func.name()
                touched = (result,) if "index_select" in name else (*args, result)  # of few rows
                tensors = [t for t in touched if isinstance(t, torch.Tensor)]
                found.extend(name for t in tensors if t.numel() == features.numel())
            return result

    scatter = kind()
    with Count():
        scatter.update(features, labels)
    assert len(found) == passes, found


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize("kind", [ScatterStatistics, SampledScatter])
def test_no_value_is_read_back_while_batches_pass(kind):
    class NoReading(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            name = func.name()
            assert not any(word in name for word in ("_local_scalar_dense", "nonzero", "index_add"))
            return func(*args, **(kwargs or {}))

    features, labels = samples(torch.float32)
    scatter = kind()
    with NoReading():
        for start in range(0, 700, 350):
            scatter.update(features[start : start + 350], labels[start : start + 350])
    assert scatter.separation == pytest.approx(closed_form(features, labels), abs=1e-6)


@pytest.mark.parametrize(
    "choice", [(), ("older", "high"), ("older", "medium"), ("newer", "tf32"), ("newer", "ieee")]
)
def test_tf32_is_off_and_then_as_it_was(choice):
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    owners = matmul, cudnn.conv, cudnn.rnn
    kept = [owner.fp32_precision for owner in owners]

    def settings():
        found = [matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision]
        for read in (torch.get_float32_matmul_precision, lambda: cudnn.allow_tf32):
            try:
                found.append(read())
            except RuntimeError:
                found.append("mixed")
        return found

    try:
        if choice[:1] == ("older",):
            torch.set_float32_matmul_precision(choice[1])
        elif choice:
            matmul.fp32_precision = cudnn.conv.fp32_precision = choice[1]
        before = settings()
        put_back = device_passes._turn_off_tf32()
        assert not matmul.allow_tf32
        assert not cudnn.allow_tf32
        assert "tf32" not in (matmul.fp32_precision, cudnn.conv.fp32_precision)
        put_back()
        assert settings() == before
    finally:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = True  # as at first, when nothing is mixed
        for owner, precision in zip(owners, kept, strict=True):
            owner.fp32_precision = precision
        assert cudnn.allow_tf32 in (True, False)  # not mixed: others read it, too


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_gpu_agrees_repeats_itself_and_keeps_to_float32(measure, dtype):
    features, labels = samples(dtype, width=2500)
    expected = closed_form(features, labels, measure)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        with torch.autocast("cuda"):
            found = [data_separation(features.cuda(), labels, measure) for _ in range(2)]
        with exact_products(torch.device("cuda")):
            product = torch.full((1, 1), 1 + 2.0**-20, device="cuda") @ torch.ones(1, 1).cuda()
        assert product.item() > 1
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    assert found[0] == found[1]
    assert found[0] == pytest.approx(expected, abs=10 * TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [ScatterStatistics, SampledScatter])
def test_batches_do_not_wait_for_a_gpu(kind):
    features, labels = samples(torch.float32, width=100, count=600)
    scatter, on_gpu = kind(), features.cuda()
    scatter.update(on_gpu, labels)
    try:
        torch.cuda.set_sync_debug_mode("error")
        scatter.update(on_gpu, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert scatter.separation == pytest.approx(closed_form(features, labels), abs=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("measured", [load_curve, report])
def test_more_layers_and_batches_do_not_wait_for_a_gpu_more_often(measured):
    features, labels = samples(torch.float32, count=600)

    def waits(layers, batch_size):
        blocks = [nn.Sequential(nn.Linear(37, 37), nn.ReLU()) for _ in range(layers)]
        network, on_gpu = nn.Sequential(*blocks).cuda(), features.cuda()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                measured(network, (on_gpu, labels), batch_size=batch_size)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(warning.message) for warning in caught)

    waits(3, 300)  # what PyTorch sets up once
    few = waits(3, 300)
    assert 0 < few == waits(9, 300) == waits(3, 100)
