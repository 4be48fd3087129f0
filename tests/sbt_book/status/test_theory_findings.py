"""Where the theory is put to the test, the status says what the chapters' own tables say."""

import numpy as np
import pytest
from scipy import stats

from sbt_book.common.committed import load_committed
from sbt_book.common.noise_axes import NOISES
from sbt_book.status import (
    chain_against_curves,
    force_findings,
    friction_findings,
    language_findings,
    order_findings,
    protocol_findings,
)


def test_the_law_is_held_against_random_loads():
    found = load_committed("law_protocol")
    findings = protocol_findings(found)
    joint = found.isel(run=~found.frozen.values.astype(bool))
    assert len(findings) == joint.sizes["run"] == 9
    verdicts = {finding.what: finding.verdict for finding in findings}
    assert verdicts.pop("20 layers, momentum") == "undecided"
    assert set(verdicts.values()) == {"reproduced"}
    # Of three random loads the middle curve points have |r| of 0.995 in 5 % of all cases.
    loads = np.random.default_rng(1).exponential(size=(40_000, 3))
    curves = np.concatenate([np.zeros((len(loads), 1)), loads.cumsum(1)], axis=1)
    curves -= curves.mean(1, keepdims=True)
    depth = np.arange(4) - 1.5
    r = curves @ depth / np.sqrt((curves**2).sum(1) * (depth**2).sum())
    assert findings[0].least == pytest.approx(np.quantile(r, 0.95), abs=1e-3)


def test_layers_do_not_stick():
    sticks, gives_way, mark = friction_findings(load_committed("friction"))
    assert (sticks.ours, sticks.published, sticks.verdict) == (0, 1, "failed")
    found = load_committed("friction").descended.isel(layer=4).sel(dropout=0)
    ratio = found.sel(slope=1) / found.sel(slope=0)
    assert gives_way.ours == pytest.approx(ratio.mean().item())
    assert gives_way.verdict == "failed"
    held = load_committed("friction").held.mean("seed").isel(held_epoch=[0, -1])
    begun, left = (held.sel(history="shaken") - held.sel(history="never shaken")).values
    assert (mark.ours, mark.verdict) == (pytest.approx(left / begun), "failed")


def test_the_forces_of_the_chain_are_not_in_the_gradients():
    skewed, drive = force_findings(load_committed("gradients"), load_committed("driven_chain"))
    assert abs(skewed.ours) < 0.01
    assert -1 < drive.ours < 0
    assert {skewed.verdict, drive.verdict} == {"failed"}


def test_the_chain_beats_plain_curves_nowhere():
    nulls = load_committed("null_models")
    finding = chain_against_curves(nulls)
    held = nulls.held_out.sel(score="within")
    ahead = [
        (held.sel(model="chain") > held.sel(model=m)).mean("half")
        for m in ("parabola", "exponential")
    ]
    assert finding.ours == int(((ahead[0] >= 0.95) & (ahead[1] >= 0.95)).sum())
    assert finding.verdict == "failed"


def test_the_order_does_not_outlive_another_measure_and_half_of_it_weight_noise():
    diagrams = {source: load_committed(source) for source in NOISES}
    findings = order_findings(diagrams, load_committed("weight_noise"))
    assert [finding.verdict for finding in findings] == ["failed", "failed", "held"]
    assert findings[0].ours < findings[0].null


def test_language_models_are_not_lazy_on_all_texts_and_their_straightest_is_not_the_best():
    trained, small = load_committed("language"), load_committed("language_training")
    findings = language_findings(trained, small)
    assert [finding.verdict for finding in findings] == ["held", "held", "failed", "failed"]
    assert findings[2].ours == 2
    curves = small.separation.sel(part="training", reading=600).transpose(
        "setting", "seed", "layer"
    )
    fast, slow = (curves.sel(setting=f"rate {rate}").values[:, :7] for rate in (0.004, 0.001))
    difference = bend(fast) - bend(slow)
    low = stats.ttest_1samp(difference, 0.0).confidence_interval().low
    np.testing.assert_allclose(findings[0].ours, low, rtol=1e-6)


def bend(curves):
    """Return the convexity of curves (seed, layer), written out."""
    first, last = curves[:, :1], curves[:, -1:]
    chord = first + (last - first) * np.linspace(0, 1, curves.shape[1])
    return ((chord - curves) / (first - last))[:, 1:-1].mean(axis=1)
