"""Diagrams of two devices: kept in one file, and compared in units of what seeds explain."""

import json

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram
from scipy import stats

from sbt_book.common.committed import load_committed
from sbt_book.common.selections import convexity
from sbt_book.phase_diagram.devices import apart, as_columns, diagram_of, quantities
from sbt_utils.results import load, save

PARTS = {"dropout": (0.0, 0.1, 0.3), "batch_size": (5, 10)}


def made(rng, source, **settings):
    configuration = json.dumps({"seeds": 2, "device": "cuda"})
    whole = diagram(rng, noises=PARTS[source], **settings)
    return whole.assign_attrs(configuration=configuration, wall_time_seconds=1.5, card="one")


def test_columns_give_back_the_diagrams(rng, tmp_path):
    diagrams = {source: made(rng, source) for source in PARTS}
    columns = as_columns(diagrams)
    assert columns.sizes["column"] == 5
    assert columns.wall_time_seconds == 3.0
    assert columns.card == "one"
    configuration = json.loads(columns.configuration)
    assert configuration == {s: {"seeds": 2} for s in PARTS} | {"device": "cuda"}
    save(columns, tmp_path / "gpu.nc", configuration, 3.0)
    for source, original in diagrams.items():
        again = diagram_of(load(tmp_path / "gpu.nc"), source)
        xr.testing.assert_identical(again.drop_attrs(), original.drop_attrs())


def pair(rng, seeds=10, noises=12, shift=0.0):
    """Return a diagram of each of two devices; in one, accuracies are shifted by so many sigma."""
    both = [diagram(rng, noises=range(noises), slopes=range(6), seeds=seeds) for _ in range(2)]
    for part, mean in zip(both, (shift, 0.0), strict=True):
        cells = part.accuracy_test.dims, rng.normal(mean, 1, part.accuracy_test.shape)
        part["accuracy_test"] = cells
    return both


def test_the_distance_is_that_of_welch(rng):
    gpu, cpu = pair(rng)
    compared = apart(gpu, cpu, divisions=1)
    for name, ours, theirs in (
        ("test accuracy", gpu.accuracy_test, cpu.accuracy_test),
        ("convexity", convexity(gpu.separation_train), convexity(cpu.separation_train)),
    ):
        z = stats.ttest_ind(ours, theirs, axis=2, equal_var=False).statistic
        one = compared.sel(quantity=name)
        np.testing.assert_allclose(one.distance, np.sqrt((z**2).mean()))
        assert one.cells == 72


def test_the_shift_is_in_pooled_standard_deviations(rng):
    gpu, cpu = pair(rng)
    x, y = gpu.accuracy_test.values, cpu.accuracy_test.values
    # A t statistic with equal variances is the shift times the root of n / 2.
    shifts = stats.ttest_ind(x, y, axis=2).statistic * np.sqrt(2 / 10)
    one = apart(gpu, cpu, divisions=1).sel(quantity="test accuracy")
    np.testing.assert_allclose(one["shift"], shifts.mean())
    np.testing.assert_allclose(one.shift_error, stats.sem(shifts.ravel()))


def test_devices_that_do_not_differ_are_rarely_found_to():
    # With 19 divisions, 1 in 20; of 3 x 40 comparisons, more than 15 have a chance of 0.1 %.
    beyond = 0
    for seed in range(40):
        compared = apart(*pair(np.random.default_rng(seed), noises=4), divisions=19)
        beyond += (compared.distance > compared.by_chance).sum().item()
    assert beyond <= 15


@pytest.mark.parametrize("share", [1, 6])
def test_a_difference_is_found(rng, share):
    """Of half a standard deviation in all cells, and of two in a sixth of them."""
    gpu, cpu = pair(rng, noises=16, shift=0.5 if share == 1 else 0.0)
    if share == 6:
        gpu.accuracy_test[:, 0] += 2
    compared = apart(gpu, cpu, divisions=200)
    found = compared.distance > compared.by_chance
    assert found.values.tolist() == [False, False, True]


def test_a_small_shift_of_all_cells_shows(rng):
    gpu, cpu = pair(rng, noises=47, shift=0.2)
    one = apart(gpu, cpu, divisions=1).sel(quantity="test accuracy")
    assert abs(one["shift"] - 0.2) < 4 * one.shift_error
    assert one["shift"] > 4 * one.shift_error


def test_networks_without_a_value_are_left_out(rng):
    gpu, cpu = pair(rng, seeds=4)
    whole = apart(gpu, cpu, divisions=3)
    gpu.separation_train[0, 0, :3] = np.nan  # one is left: no variance
    cpu.separation_train[1, 1, 0, 2] = np.nan  # three are left
    x, y = (quantities(part).sel(quantity="last separation") for part in (gpu, cpu))
    z = stats.ttest_ind(x, y, axis=2, equal_var=False, nan_policy="omit").statistic
    z[0, 0] = z[2, 2] = np.nan
    gpu.separation_train[2, 2], cpu.separation_train[2, 2] = 1.0, 1.0  # D is the same in all
    compared = apart(gpu, cpu, divisions=3)
    assert whole.cells.values.tolist() == [72, 72, 72]
    assert compared.cells.values.tolist() == [70, 70, 72]
    distance = compared.distance.sel(quantity="last separation")
    np.testing.assert_allclose(distance, np.sqrt(np.nanmean(z**2)))
    assert np.isfinite(compared.by_chance).all()


def test_other_cells_are_an_error(rng):
    gpu, cpu = pair(rng)
    with pytest.raises(ValueError, match="align"):
        apart(gpu.isel(noise=slice(3)), cpu)


def test_the_committed_networks_halved_do_not_differ_from_each_other():
    """Five seeds of each cell against the other five: real networks, whose values have tails."""
    for source in ("dropout", "learning_rate"):
        whole = load_committed(source)
        halves = (
            whole.isel(seed=slice(5)),
            whole.isel(seed=slice(5, 10)).assign_coords(seed=range(5)),
        )
        compared = apart(*halves, divisions=200)
        assert (compared.distance <= compared.by_chance).all()
        assert (abs(compared["shift"]) < 4 * compared.shift_error).all()
