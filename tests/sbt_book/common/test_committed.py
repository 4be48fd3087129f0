"""The committed results, in a checkout and outside of one."""

import re

import pytest
import xarray as xr

from sbt_book.common import committed
from sbt_book.common.committed import RESULTS, committed_file, load_committed
from sbt_book.phase_diagram.published import published_diagram
from sbt_utils.outputs import is_intact
from sbt_utils.results import load


def test_results_are_loaded_by_name():
    xr.testing.assert_identical(load_committed("steering"), load(RESULTS / "steering.nc"))
    assert committed_file("law.nc") == RESULTS / "law.nc"
    with pytest.raises(FileNotFoundError, match=r"laws\.nc: there is no such results file"):
        load_committed("laws")


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.nc")), ids=lambda path: path.name)
def test_every_committed_file_ends_in_its_digest(path):
    assert is_intact(path)


def test_an_installed_package_says_that_results_come_with_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "RESULTS", tmp_path / "results")
    for file, read in {
        "dropout.nc": lambda: load_committed("dropout"),
        "reference/published_phase_diagrams.json": lambda: published_diagram("dropout"),
    }.items():
        message = rf"{re.escape(str(tmp_path))}.*{file}: results/ comes with a checkout of the rep"
        with pytest.raises(FileNotFoundError, match=message):
            read()
