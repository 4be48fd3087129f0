"""Networks of other shapes: how they start, and that batch norm hides the scale of weights."""

import numpy as np
import pytest
import torch
from small_training import assert_same_state

from sbt_book.beyond.shapes import SERIES, Shape, everything, measured, part_of, start
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

SMALL = {"hidden_layers": 2, "width": 12, "seeds": 2}


def test_unscaled_networks_are_those_of_train():
    network, state = start(Shape(dropout=0.2, **SMALL))
    images = torch.rand(60, 100, generator=torch.Generator().manual_seed(0))
    common = {"seeds": range(2), "epochs": 2, "progress": False}
    ours = train(network, images, torch.arange(60) % 10, resume=state, **common)
    plain = MLP(width=12, hidden_layers=2, dropout=0.2)
    theirs = train(plain, images, torch.arange(60) % 10, **common)
    for member in range(2):
        assert_same_state(ours.state, member, theirs.state, member)


def test_scales_multiply_the_weights_they_name_and_no_others():
    usual, scaled = (
        start(Shape(**SMALL, **scales))[1]["networks"]
        for scales in ({}, {"hidden_scale": 4.0, "readout_scale": 0.5})
    )
    for name, tensor in usual.items():
        factor = 4 if name in ("linear1.weight", "linear2.weight") else 1
        factor = 0.5 if name.startswith("readout") else factor
        assert torch.equal(scaled[name], factor * tensor), name


def test_batch_norm_hides_the_scale_of_hidden_weights():
    images = torch.rand(50, 100, generator=torch.Generator().manual_seed(0))
    logits = []
    for scale in (1.0, 8.0):
        network, state = start(Shape(hidden_scale=scale, **SMALL))
        weights = {name: tensor[0] for name, tensor in state["networks"].items()}
        # Biases are not scaled; in training mode they have no effect.
        network.load_state_dict(weights)
        logits.append(network.train()(images))
    np.testing.assert_allclose(*(each.detach() for each in logits), atol=1e-3)


def test_measured_networks_have_a_curve_for_each_seed():
    found = measured(Shape(**SMALL), images=100, epochs=1)
    assert found.separation_train.dims == ("seed", "layer")
    assert found.separation_train.shape == (2, 3)
    assert found.separation_train.notnull().all()


def test_shapes_of_several_series_are_trained_once(tmp_path, monkeypatch, capsys):
    few = {"depth": (Shape(**SMALL), Shape(3, 12, seeds=2)), "width": (Shape(**SMALL),)}
    monkeypatch.setattr("sbt_book.beyond.shapes.SERIES", few)
    settings = {"images": 100, "epochs": 1}
    monkeypatch.setattr("sbt_book.beyond.shapes.CONFIGURATION", settings)
    found = everything(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(
        {part_of(tmp_path, s) for f in few.values() for s in f}
    )
    assert found.series.values.tolist() == ["depth", "depth", "width"]
    assert found.hidden_layers.values.tolist() == [2, 3, 2]
    np.testing.assert_array_equal(found.separation_train[0], found.separation_train[2])
    assert found.separation_train[0, :, 3].isnull().all()
    assert "3/3" in capsys.readouterr().err


def test_every_series_holds_the_published_shape_and_files_differ(tmp_path):
    for name, shapes in SERIES.items():
        usual = Shape(dropout=0.1) if "dropout" in name else Shape()
        assert usual in shapes, name
    every = {shape for shapes in SERIES.values() for shape in shapes}
    assert len({part_of(tmp_path, shape) for shape in every}) == len(every)


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_a_scale_and_a_rate_are_one_to_an_optimiser_without_scale(scale):
    # Adam moves a weight by its rate whatever the gradient: relative to weights s times as large,
    # a rate s times as small. Of the hidden weights only, after the first step of two epochs.
    images = torch.rand(60, 100, generator=torch.Generator().manual_seed(0))
    labels, moved = torch.arange(60) % 10, []
    for shape in (Shape(hidden_scale=scale, **SMALL), Shape(learning_rate=1e-3 / scale, **SMALL)):
        network, state = start(shape)
        before = state["networks"]["linear2.weight"].clone()
        after = train(
            network,
            images,
            labels,
            seeds=range(2),
            learning_rate=shape.learning_rate,
            resume=state,
            epochs=1,
            progress=False,
        ).state["networks"]["linear2.weight"]
        moved.append((after - before) / shape.hidden_scale)
    assert moved[0].abs().max() > 1e-4
    np.testing.assert_allclose(*moved, rtol=0.05, atol=0.02 * 1e-3 / scale)
