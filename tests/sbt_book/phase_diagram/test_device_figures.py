"""The networks of two devices beside one another."""

import json

import numpy as np
import pytest
from diagram_data import diagram
from drawing import drawn, legend_of

from sbt_book.common.selections import convexity
from sbt_book.phase_diagram.device_figures import gpu_against_cpu
from sbt_book.phase_diagram.devices import as_columns

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")
LEVELS = {"dropout": (0.0, 0.1, 0.3), "batch_size": (5, 40, 640, 2560)}


def made(rng, **settings):
    attributes = {"configuration": json.dumps({"device": "cuda"}), "wall_time_seconds": 1.0}
    return {
        source: diagram(rng, levels, seeds=3, **settings).assign_attrs(attributes)
        for source, levels in LEVELS.items()
    }


def ends(stems, along):
    return np.array([stem[:, along] for stem in stems.get_segments()])


def test_gpu_against_cpu(rng):
    gpu, cpu = made(rng), made(rng)
    figure = drawn(gpu_against_cpu(as_columns(gpu), cpu))
    assert legend_of(figure) == ["dropout p", "batch size"]
    assert [axes.get_title() for axes in figure.axes] == ["convexity", "test accuracy, %"]
    quantities = [lambda d: convexity(d.separation_train), lambda d: 100 * d.accuracy_test]
    for axes, quantity in zip(figure.axes, quantities, strict=True):
        assert axes.get_xlim() == axes.get_ylim()
        for bars, source in zip(axes.containers, LEVELS, strict=True):
            line, _, stems = bars
            for along, device in enumerate((cpu, gpu)):
                networks = quantity(device[source]).transpose(..., "seed").values.reshape(-1, 3)
                mean, spread = networks.mean(1), networks.std(1, ddof=1)
                assert line.get_data()[along] == pytest.approx(mean)
                bounds = np.stack([mean - spread, mean + spread], axis=1)
                assert ends(stems[along], along) == pytest.approx(bounds)


def test_extreme_cells_do_not_set_the_axes(rng):
    gpu, cpu = (made(rng, slopes=range(20)) for _ in range(2))
    far = {"noise": 0, "slope": 1}
    for device in (gpu, cpu):
        device["dropout"].accuracy_test[far] = 0.0
    _, axes = gpu_against_cpu(as_columns(gpu), cpu).axes
    assert axes.get_xlim()[0] > 0
    assert axes.get_xlim()[1] < 101
