"""Load curves of three trained models, and what each block's removal costs them.

None of the models has been trained on the labels here. So there are no training samples in the
usual sense: both parts are new to the models, and a map of one should be like that of the other.
(Python's library and its manual were probably among what the language model has read.) The
readout of the sentence encoder, which removal needs, is fitted on the first part; losses are those
of the second.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from sbt_book.trained_models import data, losses, models
from sbt_utils import results
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probing import Probe
from sbt_utils.measuring.skipping import removal
from sbt_utils.reporting.stress_map import StressMap, report

STEP = 2.0**-12
"""To this draws of D are rounded in a file."""

CONFIGURATION: dict[str, Any] = {
    "sounds": {"each": 24, "unseen": 12, "seeds": [0, 1]},
    "texts": {"each": 40, "unseen": 24, "tokens": 32, "seed": 0},
    "prose": {"pieces": 40, "tokens": 64},
    "units": {"pitch network": 8, "sentence encoder": 8, "language model": 1},
    "resamples": 100,
    "readout decay": 1e-3,
}
"""What a file of results says of how it came about; units are inputs that are drawn together."""

TOKENS = ("all", "all but the first")
"""Of which tokens texts are measured, as their mean."""


def everything(folder: Path) -> xr.Dataset:
    """Measure all three models, in about a quarter of an hour on two processor cores.

    Parameters
    ----------
    folder : Path
        Keeps a file for each model that is finished; those are not measured again.

    Returns
    -------
    xarray.Dataset
        Along ``model``, the keys of `sbt_book.trained_models.models.PACKAGES`, and nan beyond a
        model's last layer: ``separation_train`` and ``separation_test`` (tokens, draw, layer),
        bootstrap draws whose mean is D; ``name`` (layer); ``rule``, how layers were chosen;
        ``inputs_train``, ``inputs_test`` and ``classes``; ``loss`` (unit) in nats, on batches of
        the second part or, of the language model, of running text; ``loss_without``,
        ``influence`` and ``angular_distance`` (unit, layer), as
        `sbt_utils.measuring.skipping.removal` has them; ``accuracy`` (layer) on the second part,
        of a readout of the sentence encoder's features at length 1, and, at the last layer, of the
        pitch network's own answer, within half a semitone. The attributes ``packages`` and
        ``weights`` (SHA-256).
    """
    measure = {
        "pitch network": pitch_network,
        "sentence encoder": sentence_encoder,
        "language model": language_model,
    }
    parts = []
    for model, compute in measure.items():
        path = folder / f"{model.replace(' ', '-')}.nc"
        parts.append(results.kept(path, CONFIGURATION | {"model": model}, compute))
    found = xr.concat(parts, "model", join="outer", combine_attrs="drop").drop_encoding()
    found["name"] = found.name.fillna("")
    for name in ("packages", "weights"):
        found.attrs[name] = json.dumps(
            {k: v for part in parts for k, v in json.loads(part.attrs[name]).items()}
        )
    found.attrs["wall_time_seconds"] = sum(part.attrs["wall_time_seconds"] for part in parts)
    return found.assign_coords(model=list(measure))


# The models ---------------------------------------------------------------------------------------


def pitch_network() -> xr.Dataset:
    """Measure the pitch network on synthesised sounds."""
    wanted = CONFIGURATION["sounds"]
    train, test = (
        data.sounds(wanted[each], seed)
        for each, seed in zip(("each", "unseen"), wanted["seeds"], strict=True)
    )
    network = models.pitch_network()
    stress = mapped(network, train[:2], test[:2])
    row = losses.in_layers(network)
    skippable = [n for n in range(1, 7) if losses.keeps_channels(row.get_submodule(f"layer{n}.1"))]
    size = CONFIGURATION["units"]["pitch network"]
    batches = list(zip(test[0].split(size), test[2].split(size), strict=True))
    blocks = [f"layer{number}" for number in skippable]
    costs = removals(row, batches, skippable, layers=blocks, loss=losses.pitch_loss)
    accuracy = {len(stress.layers) - 1: losses.pitch_accuracy(row, batches)}
    return _joined("pitch network", {"all": stress}, costs, accuracy)


def sentence_encoder() -> xr.Dataset:
    """Measure the sentence encoder on docstrings, and a readout of it that knows their chapters."""
    encoder, tokenizer = models.sentence_encoder()
    train, test = text_parts(tokenizer)
    maps = {tokens: mapped(encoder, train, test, mask) for tokens, mask in _MASKS.items()}
    readouts, accuracy = readouts_of(encoder, train, test)
    classifier = losses.TextClassifier(encoder, readouts[-1])
    size = CONFIGURATION["units"]["sentence encoder"]
    batches = [part for batch in test for part in _split(batch, size)]
    costs = removals(classifier, batches, range(1, len(readouts)))
    return _joined("sentence encoder", maps, costs, dict(enumerate(accuracy)))


def language_model() -> xr.Dataset:
    """Measure the language model on docstrings, and its loss on running text."""
    model, tokenizer = models.language_model()
    train, test = text_parts(tokenizer)
    maps = {tokens: mapped(model.model, train, test, mask) for tokens, mask in _MASKS.items()}
    pieces = data.prose(tokenizer, **CONFIGURATION["prose"])
    batches = list(pieces.split(CONFIGURATION["units"]["language model"]))
    numbers = range(1, len(maps["all"].layers))
    blocks = type(model.model.layers[0])
    costs = removals(model, batches, numbers, layers=blocks, loss=losses.next_token_loss)
    return _joined("language model", maps, costs)


# Their parts --------------------------------------------------------------------------------------


def all_but_the_first(batch: Mapping[str, Tensor]) -> Tensor:
    """Return the mask of a batch of texts without the first token of each."""
    mask = batch["attention_mask"].clone()
    mask[:, 0] = 0
    return mask


_MASKS = {"all": None, "all but the first": all_but_the_first}


def text_parts(tokenizer: models.Tokenizer) -> list[list[dict[str, Tensor]]]:
    """Return the batches of the two parts of the docstrings."""
    wanted = CONFIGURATION["texts"]
    parts = data.docstrings(wanted["each"], wanted["unseen"], wanted["seed"])
    return [data.text_batches(tokenizer, *part, tokens=wanted["tokens"]) for part in parts.values()]


def mapped(model: nn.Module, train: Any, test: Any, mask: Any = None) -> StressMap:
    """Return the stress map of a model as it comes, of what it does by default."""
    resamples = CONFIGURATION["resamples"]
    return report(model, train, test, mask=mask, resamples=resamples, batch_size=32)


def removals(
    model: nn.Module, batches: Iterable[Any], numbers: Iterable[int], **options: Any
) -> xr.Dataset:
    """Return what skipping each block does to each batch, as `everything` has it.

    `numbers` are the l of the blocks; `options` as in `removal`.
    """
    found = [removal(model, iter([batch]), **options) for batch in batches]
    columns = {
        name: (("unit", "layer"), np.stack([getattr(one, name) for one in found]))
        for name in ("loss_without", "influence", "angular_distance")
    }
    losses = ("unit", [one.loss for one in found])
    places = {"unit": range(len(found)), "layer": list(numbers)}
    return xr.Dataset({"loss": losses, **columns}, places)


def readouts_of(
    encoder: nn.Module, train: list[dict[str, Tensor]], test: list[dict[str, Tensor]]
) -> tuple[list[nn.Linear], list[float]]:
    """Return a readout of each layer's mean token, fitted on one part, and its accuracy on another.

    The first of them reads the mean of the embedded words, the last the sentence embedding.
    """
    (features, labels), (others, answers) = (_features(encoder, part) for part in (train, test))
    decay = CONFIGURATION["readout decay"]
    readouts = [losses.fitted_readout(layer, labels, decay) for layer in features]
    right = [r(layer).argmax(1) == answers for r, layer in zip(readouts, others, strict=True)]
    return readouts, [answer.double().mean().item() for answer in right]


def _features(encoder: nn.Module, batches: list[dict[str, Tensor]]) -> tuple[list[Tensor], Tensor]:
    """Return the mean token of each layer l = 0..L, at length 1, and the labels."""
    kept = Probe(encoder).statistics(batches, lambda name: _Kept())
    normalized = [
        nn.functional.normalize(torch.cat(layer.batches), dim=1) for layer in kept.values()
    ]
    return normalized, torch.cat([batch["labels"] for batch in batches])


class _Kept:
    """What takes the place of statistics, and keeps the features."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def update(self, features: Tensor, labels: Any) -> None:
        self.batches.append(features.detach().flatten(1).clone())


def _split(batch: Mapping[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    """Split a batch of texts; together they stay as long as they were."""
    parts = {name: values.split(size) for name, values in batch.items()}
    return [dict(zip(parts, one, strict=True)) for one in zip(*parts.values(), strict=True)]


def _joined(
    model: str,
    maps: Mapping[str, StressMap],
    costs: xr.Dataset,
    accuracy: Mapping[int, float] | None = None,
) -> xr.Dataset:
    """Return what was measured of a model, with where its weights come from."""
    first = next(iter(maps.values()))
    layer = range(len(first.layers))
    found = costs.reindex(layer=layer)
    found["name"] = ("layer", np.array(first.layers, object))
    found["rule"] = first.rule
    found["inputs_train"], found["inputs_test"] = first.images
    found["classes"] = first.classes[0]
    measured = xr.Dataset({"accuracy": ("layer", np.full(len(layer), np.nan))})
    for place, value in (accuracy or {}).items():
        measured.accuracy[place] = value
    draws = [_draws(stress) for stress in maps.values()]
    found = found.merge(measured).merge(xr.concat(draws, "tokens").assign_coords(tokens=list(maps)))
    packages = [name for name in models.PACKAGES[model] if not models.missing(model)]
    digest = hashlib.sha256(models.weights_file(model).read_bytes()).hexdigest()
    return found.assign_attrs(
        packages=json.dumps({name.replace("_", "-"): version(name) for name in packages}),
        weights=json.dumps({model: digest}),
    )


def _draws(stress: StressMap) -> xr.Dataset:
    """Return the draws of D of a stress map, nan where a layer has none."""
    has = [name not in stress.undefined for name in stress.layers]
    columns = {}
    for part, curve in (("train", stress.train), ("test", stress.test)):
        draws = np.full((CONFIGURATION["resamples"], len(has)), np.nan)
        if curve is not None:
            draws[:, has] = np.round(curve.separation / STEP) * STEP
        columns[f"separation_{part}"] = (("draw", "layer"), draws.astype(np.float32))
    return xr.Dataset(columns)


def stress_of(found: xr.Dataset, model: str, tokens: str = TOKENS[0]) -> StressMap:
    """Return the stress map of a model from the results, as the report gave it.

    Parameters
    ----------
    found : xarray.Dataset
        From `everything`.
    model, tokens : str
        A key of `sbt_book.trained_models.models.PACKAGES`, and one of `TOKENS`.
    """
    one = found.sel(model=model)
    names = tuple(str(name) for name in one.name.values if name)
    curves = {}
    for part in ("train", "test"):
        draws = one[f"separation_{part}"].sel(tokens=tokens).transpose("draw", "layer")
        curves[part] = LoadCurve(draws.values[:, : len(names)], "trace", names)
    return StressMap(
        curves["train"],
        curves["test"],
        images=(int(one.inputs_train), int(one.inputs_test)),
        classes=(int(one.classes),) * 2,
        layers=names,
        rule=one.rule.item(),
    )


def main() -> None:
    """Measure all, and write ``trained_models.nc`` into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="keeps what is finished, and the results")
    folder = parser.parse_args().folder
    found = everything(folder)
    for values in found.values():
        if values.dtype.kind == "f" and values.ndim:
            values.encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    seconds = found.attrs.pop("wall_time_seconds")
    results.save(found, folder / "trained_models.nc", CONFIGURATION, seconds)


if __name__ == "__main__":
    main()
