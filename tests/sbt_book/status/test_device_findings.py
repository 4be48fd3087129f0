"""Findings on the networks of a GPU, from made-up ones that do and do not differ."""

import json

import numpy as np
import pytest
from diagram_data import diagram

from sbt_book.common.committed import load_committed
from sbt_book.common.noise_axes import NOISES
from sbt_book.phase_diagram.devices import QUANTITIES, as_columns
from sbt_book.status.device_findings import gpu_findings
from sbt_book.status.verdicts import count

NOISE_LEVELS = {source: (2.0 * place, 2.0 * place + 1) for place, source in enumerate(NOISES)}


def made(seed, device):
    rng = np.random.default_rng(seed)
    attributes = {"configuration": json.dumps({"device": device}), "wall_time_seconds": 1.0}
    slopes = np.arange(6) / 5
    return {
        source: diagram(rng, levels, slopes, seeds=10).assign_attrs(attributes)
        for source, levels in NOISE_LEVELS.items()
    }


@pytest.fixture
def networks():
    return made(0, "cuda"), made(1, "cpu")


def test_networks_of_other_seeds_are_reproduced(networks):
    gpu, cpu = networks
    # 48 cells scatter too much for the limit of the shift, which is meant for 282.
    findings = gpu_findings(as_columns(gpu), cpu)
    assert len(findings) == (len(NOISES) + 1) * len(QUANTITIES)
    assert {finding.verdict for finding in findings[:12]} == {"agrees"}
    assert findings[-1].spread == pytest.approx(np.sqrt(2 / 10 / 48), rel=0.3)


def test_one_diagram_that_differs_is_named(networks):
    gpu, cpu = networks
    gpu["data_noise"].accuracy_test[:] -= 0.2
    differ = [f for f in gpu_findings(as_columns(gpu), cpu) if f.verdict == "disagrees"]
    assert differ[0].what.startswith("data noise: test accuracy")
    assert not [f for f in differ if f.what.startswith(("dropout p", "learning rate"))]


def test_a_shift_of_all_networks_differs(networks):
    _, cpu = networks
    gpu = {source: part.copy(deep=True) for source, part in cpu.items()}
    same = gpu_findings(as_columns(gpu), cpu)
    assert count(same)["agrees"] == 15
    assert [finding.ours for finding in same] == pytest.approx([0] * 15)
    for part in gpu.values():
        part.accuracy_test[:] += 0.2 * part.accuracy_test.std("seed")
    shifted = gpu_findings(as_columns(gpu), cpu)
    differ = [finding.what for finding in shifted if finding.verdict == "disagrees"]
    assert differ == ["all diagrams: test accuracy, mean shift"]


def test_the_committed_networks_of_a_gpu_do_not_differ():
    diagrams = {source: load_committed(source) for source in NOISES}
    findings = gpu_findings(load_committed("gpu"), diagrams)
    assert count(findings)["agrees"] == len(findings) == 15
