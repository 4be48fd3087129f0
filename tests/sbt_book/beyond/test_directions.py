"""Scatter along the class means: against the library's measures, and what no linear map changes."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.linalg import eigh
from torch import nn

from sbt_book.beyond.directions import (
    LEVELS,
    features_of,
    least_fuzziness,
    measures_of,
    scatter_along_directions,
)
from sbt_book.common.committed import load_committed
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.training.networks import MLP


@pytest.fixture
def labelled(rng):
    labels = np.repeat(np.arange(4), [9, 14, 20, 7])
    mixing = rng.normal(size=(6, 6))
    return (rng.normal(size=(50, 6)) + 2 * rng.normal(size=(4, 6))[labels]) @ mixing, labels


def kinds(features, labels):
    return measures_of(scatter_along_directions(features, labels))


def test_two_kinds_are_the_measures_of_the_library(labelled):
    found = kinds(*labelled)
    for measure in ("trace", "fuzziness"):
        assert found[measure].item() == pytest.approx(data_separation(*labelled, measure))


def test_a_kind_within_the_class_means_is_that_of_projected_features(labelled):
    features, labels = labelled
    means = np.stack([features[labels == c].mean(0) for c in range(4)])
    weights = np.sqrt(np.bincount(labels))[:, None]
    _, _, directions = np.linalg.svd(weights * (means - features.mean(0)), full_matrices=False)
    projected = features @ directions[:3].T
    expected = data_separation(projected, labels, "trace")
    assert kinds(*labelled)["trace, class directions"].item() == pytest.approx(expected)
    leading = data_separation(features @ directions[:1].T, labels, "trace")
    assert kinds(*labelled)["fuzziness, 1 direction"].item() == pytest.approx(leading)


def test_discriminants_solve_the_generalised_eigenvalue_problem(labelled):
    features, labels = labelled
    within, between = np.zeros((2, 6, 6))
    for c in range(4):
        own = features[labels == c]
        within += (own - own.mean(0)).T @ (own - own.mean(0)) / 50
        away = own.mean(0) - features.mean(0)
        between += len(own) / 50 * np.outer(away, away)
    expected = eigh(between, within, eigvals_only=True)[::-1][:3]
    np.testing.assert_allclose(scatter_along_directions(*labelled).discriminant, expected)


def test_no_linear_map_changes_the_bound_or_gets_below_it(labelled, rng):
    features, labels = labelled
    bound = kinds(features, labels)["least fuzziness"].item()
    for width in (6, 6, 9, 4, 3):
        mapped = features @ rng.normal(size=(6, width)) + rng.normal(size=width)
        if width >= 6:
            assert kinds(mapped, labels)["least fuzziness"].item() == pytest.approx(bound)
        assert data_separation(mapped, labels, "fuzziness") > bound


def test_a_linear_map_reaches_the_bound(labelled):
    features, labels = labelled
    means = np.stack([features[labels == c].mean(0) for c in range(4)])
    residuals = features - means[labels]
    whitened = features @ np.linalg.inv(np.linalg.cholesky(residuals.T @ residuals / 50)).T
    bound = least_fuzziness(scatter_along_directions(features, labels).discriminant)
    assert data_separation(whitened, labels, "fuzziness") == pytest.approx(bound.item())


def test_directions_in_which_nothing_varies_count_for_no_discriminant(labelled):
    features, labels = labelled
    dead = np.hstack([features, np.ones((50, 2))])
    expected = scatter_along_directions(features, labels)
    xr.testing.assert_allclose(scatter_along_directions(dead, labels), expected)
    single = scatter_along_directions(features[:, :2], labels)
    assert single.discriminant.size == 2


def test_features_are_those_of_the_load_curve():
    torch.manual_seed(0)
    network = MLP(inputs=6, width=5, hidden_layers=3, classes=3, negative_slope=0.3).eval()
    images, labels = torch.rand(60, 1, 2, 3), torch.arange(60) % 3
    nn.init.normal_(network.get_submodule("norm2").bias)
    found = [data_separation(x, labels) for x in features_of(network, images)]
    np.testing.assert_allclose(found, load_curve(network, images, labels).separation, rtol=1e-5)


def test_committed_networks_are_those_of_the_published_diagrams():
    found = load_committed("directions")
    again = measures_of(found)
    for source, levels in LEVELS.items():
        ours = again.isel(network=found.source.values == source)
        assert set(ours.noise.values) == set(levels)
        places = {name: ours[name] for name in ("noise", "slope", "seed")}
        diagram = load_committed(source).sel(places)
        for kind, name in (("trace", "separation_train"), ("fuzziness", "fuzziness_train")):
            expected = diagram[name].transpose(*ours[kind].dims)
            np.testing.assert_allclose(ours[kind], expected, atol=2e-6)
