"""The profile that a chapter runs at where nobody chooses one."""

import pytest

from sbt_book import common
from sbt_book.common import profiles

MINUTES = {1: {"quick": 1, "paper": 10}, 2: {"quick": 2}, 3: {"quick": 3, "paper": 11}}


@pytest.fixture
def colab(monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    monkeypatch.setattr(profiles, "COLAB_GPU_MINUTES", MINUTES)


@pytest.mark.parametrize(("chapter", "profile"), [(1, "paper"), (2, "quick"), (3, "quick")])
def test_a_gpu_of_colab_takes_the_larger_profile_if_it_is_quick_enough(
    colab, chapter, profile, capsys
):
    assert common.profile_for(chapter, "cuda") == profile
    (line,) = capsys.readouterr().out.splitlines()
    assert f'profile "{profile}"' in line
    for name, minutes in MINUTES[chapter].items():
        assert f'"{name}" about {minutes} min' in line


def test_without_a_gpu_or_elsewhere_it_is_quick_and_nothing_is_said(colab, monkeypatch, capsys):
    assert common.profile_for(1, "cpu") == "quick"
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    assert common.profile_for(1, "cuda") == "quick"
    assert capsys.readouterr().out == ""


def test_every_chapter_has_its_minutes():
    assert list(profiles.COLAB_GPU_MINUTES) == list(range(1, 12))
    for minutes in profiles.COLAB_GPU_MINUTES.values():
        assert 0 < minutes["quick"] <= minutes.get("paper", minutes["quick"])
    with pytest.raises(ValueError, match=r"chapter=12: choose one from 1 to 11"):
        common.profile_for(12, "cpu")
