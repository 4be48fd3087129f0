"""The gallery of architectures: against measuring by hand, and against what it has saved."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from drawing import drawn, legend_of
from scipy.stats import spearmanr

from sbt_book.common.committed import RESULTS
from sbt_book.gallery import experiment as gallery_module
from sbt_book.gallery.experiment import DROPOUTS, KINDS, RATES, data_of, gallery, measured, trained
from sbt_book.gallery.figures import convexity_by_kind, curves_by_kind
from sbt_book.gallery.responses import along, response_table, shapes
from sbt_book.gallery.sentences import sentences
from sbt_utils import results
from sbt_utils.measuring.curves import LoadCurve, scaled
from sbt_utils.measuring.probe import load_curve

pytestmark = pytest.mark.usefixtures("one_thread", "matplotlib_untouched")
RATED = {"MLP", "sequence classifier"}


@pytest.fixture(scope="module")
def saved():
    return results.load(RESULTS / "architectures.nc")


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_each_kind(kind):
    network, data = trained(kind, dropout=0.2, epochs=1), data_of(kind)
    assert not network.training
    dropouts = {layer.p for layer in network.modules() if isinstance(layer, torch.nn.Dropout)}
    assert dropouts == {0.2}
    found = measured(kind, network)
    images, labels = data.test_images, data.test_labels
    right = (network(images).argmax(1) == labels).sum().item()
    assert found.accuracy_test.item() == pytest.approx(right / 1000, abs=1e-12)
    curve = load_curve(network, images, labels, layers=KINDS[kind].layers, pool=KINDS[kind].pool)
    assert found.separation_test.values == pytest.approx(curve.mean)
    assert found.sizes["layer"] == (8 if kind in ("MLP", "CNN") else 7)


def test_the_seed_the_rate_and_the_dropout_decide():
    def weights(**settings):
        return trained("sequence classifier", epochs=1, **settings).state_dict()["readout.weight"]

    base = weights()
    assert torch.equal(base, weights(dropout=0.0, rate=1.0, seed=0))
    for other in ({"seed": 1}, {"rate": 0.3}, {"dropout": 0.1}):
        assert not torch.equal(base, weights(**other))


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="kind='LSTM': choose one of MLP, CNN"):
        trained("LSTM")


def test_a_gallery_is_laid_out_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    calls = []

    def stand_in(kind, dropout, rate, seed):
        calls.append((kind, dropout, rate, seed))
        return kind, dropout, rate, seed

    def number(kind, network):
        code = ["MLP", "CNN"].index(kind) + network[1] + 10 * network[2] + 100 * network[3]
        layers = {"MLP": 3, "CNN": 2}[kind]
        return xr.Dataset(
            {"separation_train": ("layer", [code] * layers), "accuracy_test": code},
            {"layer": range(layers)},
        )

    monkeypatch.setattr(gallery_module, "trained", stand_in)
    monkeypatch.setattr(gallery_module, "measured", number)
    gallery(tmp_path, ["MLP"], seeds=[4], dropouts=[0.0, 0.2])
    assert len(calls) == 5  # two dropouts, and three other rates
    found = gallery(tmp_path, ["MLP", "CNN"], seeds=[4, 5], dropouts=[0.0, 0.2])
    assert len(calls) == len(set(calls)) == 14
    assert found.sizes == {"kind": 2, "dropout": 2, "rate": 4, "seed": 2, "layer": 3}
    assert np.isfinite(found.accuracy_test).sum() == 14
    cell = found.sel(kind="CNN", dropout=0.2, rate=1.0, seed=5)
    assert cell.accuracy_test.item() == pytest.approx(1 + 0.2 + 10 + 500)
    assert np.isfinite(cell.separation_train).values.tolist() == [True, True, False]
    assert found.accuracy_test.sel(kind="MLP", rate=0.3, dropout=0, seed=4).item() == 403


def test_networks_that_were_trained_otherwise_are_not_reused(tmp_path, monkeypatch):
    chosen = {"kinds": ["sequence classifier"], "seeds": [0], "dropouts": [0.1]}
    quick = replace(KINDS["sequence classifier"], epochs=1, rates=(1.0,))
    monkeypatch.setitem(KINDS, "sequence classifier", quick)
    first = gallery(tmp_path, **chosen)
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    xr.testing.assert_identical(gallery(tmp_path, **chosen), first)
    for change, words in {
        "epochs": "epochs = 1, not 2",
        "batch_size": "batch_size = 50, not 2",
        "learning_rate": r"learning_rate = 0\.003, not 2",
    }.items():
        monkeypatch.setitem(KINDS, "sequence classifier", replace(quick, **{change: 2}))
        with pytest.raises(ValueError, match=rf"0\.1_1\.0_0\.nc holds results with {words}"):
            gallery(tmp_path, **chosen)
    monkeypatch.setitem(KINDS, "sequence classifier", quick)
    monkeypatch.setattr(gallery_module, "data_of", lambda kind: sentences(1000, 1000, seed=1))
    with pytest.raises(ValueError, match=r"holds results with data = .* seed 0\.', not .* seed 1"):
        gallery(tmp_path, **chosen)
    assert file.read_bytes() == before


# What was saved -------------------------------------------------------------------------------


def test_the_saved_gallery_is_whole(saved):
    assert set(saved.kind.values) == set(KINDS)
    assert saved.dropout.values.tolist() == list(DROPOUTS)
    assert saved.rate.values.tolist() == list(RATES)
    assert saved.sizes["seed"] >= 5
    assert saved.accuracy_test.sel(rate=1.0).notnull().all()
    for kind in KINDS:
        of_kind = saved.sel(kind=kind)
        there = of_kind.accuracy_test.sel(dropout=0.0).notnull().all("seed")
        assert there.values.tolist() == [kind in RATED or rate == 1 for rate in RATES]
        layers = of_kind.separation_train.sel(rate=1.0).notnull().sum("layer")
        assert (layers == (8 if kind in ("MLP", "CNN") else 7)).all()
    for name in ("accuracy_train", "accuracy_test"):
        values = saved[name].values[np.isfinite(saved[name].values)]
        assert ((values >= 0) & (values <= 1)).all()


def test_a_saved_network_trained_again(saved):
    kind, place = "sequence classifier", {"dropout": 0.1, "rate": 1.0, "seed": 1}
    again = measured(kind, trained(kind, **place))
    cell = saved.sel(kind=kind, **place).dropna("layer")
    # Another processor rounds otherwise, and training magnifies it.
    assert again.separation_train.values == pytest.approx(cell.separation_train.values, abs=0.1)
    assert again.accuracy_test.item() == pytest.approx(cell.accuracy_test.item(), abs=0.03)


# Shapes, table and figures --------------------------------------------------------------------


@pytest.fixture
def made_up(rng):
    """Two kinds of unlike depth, the second without other learning rates."""
    sizes = {"kind": 2, "dropout": 3, "rate": 2, "seed": 4, "layer": 5}
    curves = np.sort(rng.normal(size=list(sizes.values())))[..., ::-1].copy()
    curves[1, ..., -1] = np.nan
    curves[1, :, 0] = np.nan
    curves[0, 1:, 0] = np.nan
    accuracy = np.where(np.isfinite(curves[..., 0]), 0.5, np.nan)
    return xr.Dataset(
        {
            "separation_train": (tuple(sizes), curves),
            "separation_test": (tuple(sizes), curves[..., :] ** 3),
            "accuracy_test": (tuple(sizes)[:-1], accuracy),
        },
        {"kind": ["deep", "flat"], "dropout": [0.0, 0.1, 0.3], "rate": [0.1, 1.0]},
    )


def test_along(made_up):
    dropout, rate = along(made_up, "dropout"), along(made_up, "rate")
    assert dropout.kind.values.tolist() == ["deep", "flat"]
    assert rate.kind.values.tolist() == ["deep"]
    assert dropout.noise.values.tolist() == [0.0, 0.1, 0.3]
    assert rate.noise.values.tolist() == [0.1, 1.0]
    assert np.array_equal(
        rate.separation_train.sel(kind="deep", noise=0.1),
        made_up.separation_train.sel(kind="deep", rate=0.1, dropout=0.0),
    )
    with pytest.raises(ValueError, match="noise='heat': choose one of dropout, rate"):
        along(made_up, "heat")


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("part", ["train", "test"])
def test_shapes_are_those_of_each_curve(made_up, part, first):
    varied = along(made_up, "dropout")
    found = shapes(varied, part, first)
    assert found.dims == ("kind", "noise", "seed")
    for kind, last in (("deep", 5), ("flat", 4)):
        for noise in range(3):
            for seed in range(4):
                curve = varied[f"separation_{part}"].sel(kind=kind)[noise, seed, first:last]
                shape = found.sel(kind=kind)[noise, seed].item()
                assert shape == pytest.approx(LoadCurve(curve.values).convexity)


def test_response_table(made_up):
    table = response_table(made_up, draws=50)
    assert list(table.index) == ["deep", "flat"]
    for kind, row in table.iterrows():
        for name, part, first in (
            ("train", "train", 0),
            ("test", "test", 0),
            ("blocks", "train", 1),
        ):
            seen = shapes(along(made_up, "dropout"), part, first).sel(kind=kind)
            levels = np.repeat([0.0, 0.1, 0.3], 4)
            assert row[name] == pytest.approx(spearmanr(levels, seen.values.ravel()).statistic)
            # Seeds are drawn together at all levels.
            drawn = np.random.default_rng(0).integers(4, size=(50, 4))
            again = [spearmanr(levels, seen.values[:, seeds].ravel()).statistic for seeds in drawn]
            interval = row[f"{name}_low"], row[f"{name}_high"]
            assert interval == pytest.approx(np.quantile(again, [0.025, 0.975]))
        seen = shapes(along(made_up, "dropout")).sel(kind=kind).values
        assert row["least"] == pytest.approx(seen[0].mean())
        assert row["most"] == pytest.approx(seen[2].mean())
        assert row["most_spread"] == pytest.approx(np.std(seen[2], ddof=1))
    assert list(response_table(made_up, "rate", draws=5).index) == ["deep"]
    same = response_table(made_up, draws=50)
    assert same.equals(table)


def test_curves_by_kind(made_up):
    figure = drawn(curves_by_kind(made_up))
    assert legend_of(figure) == ["p = 0", "p = 0.1", "p = 0.3"]
    for axes, kind, last in zip(figure.axes, ("deep", "flat"), (5, 4), strict=True):
        assert axes.get_title() == kind
        chord, *lines = axes.lines
        assert chord.get_xdata()[-1] == last - 1
        for line, dropout in zip(lines, made_up.dropout, strict=True):
            curves = made_up.separation_train.sel(kind=kind, dropout=dropout, rate=1.0)
            assert line.get_ydata() == pytest.approx(scaled(curves.mean("seed").values[:last]))


def test_convexity_by_kind(made_up):
    figure = drawn(convexity_by_kind(made_up))
    assert legend_of(figure) == ["deep", "flat"]
    for axes, noise, kinds in zip(figure.axes, ("dropout", "rate"), (2, 1), strict=True):
        assert len(axes.containers) == kinds
        for bars, convexities in zip(axes.containers, shapes(along(made_up, noise)), strict=True):
            line, _, (stems,) = bars
            assert line.get_xdata() == pytest.approx(convexities.noise.values)
            assert line.get_ydata() == pytest.approx(convexities.mean("seed").values)
            spread = np.array([np.ptp(stem[:, 1]) for stem in stems.get_segments()]) / 2
            assert spread == pytest.approx(convexities.std("seed", ddof=1).values)
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "log"]
