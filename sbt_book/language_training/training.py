"""Training one small language model, and reading its load curves meanwhile."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as functional
import xarray as xr
from torch import Tensor

from sbt_book.language_training.models import SmallLanguageModel
from sbt_book.language_training.settings import Setting, Size
from sbt_book.language_training.text import Text, spread_starts, windows
from sbt_utils.language.residual import prediction_residual as residual_of_fit
from sbt_utils.language.states import rms_normalised
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.separation import data_separation
from sbt_utils.training.controllers import Controller, DropoutController, Schedule, set_dropout

Probe = tuple[Tensor, Tensor]
"""Windows of characters and the next character at each place: (windows, context) each."""


def trained(
    setting: Setting, size: Size, text: Text, seed: int, device: str = "cpu"
) -> tuple[SmallLanguageModel, xr.Dataset]:
    """Train a network and read it at equal intervals.

    A seed means the same initial weights, as far as networks are alike, and the same batches.

    Returns
    -------
    model : SmallLanguageModel
    readings : xarray.Dataset
        ``separation`` (part, reading, layer), D of the characters that are followed by one of the
        most frequent, whose states are divided by their root mean square, classes being what
        follows; ``residual`` likewise, see `prediction_residual`; ``loss`` (part, reading), nats
        for each character; ``dropout`` (reading), trained with up to there. The parts are
        ``training``, ``validation`` and ``test``, layers begin with the embedding, and readings
        are numbered by steps.
    """
    probes = {
        part: windows(ids, spread_starts(ids, size.probe, size.context), size.context)
        for part, ids in (
            ("training", text.training),
            ("validation", text.validation),
            ("test", text.test),
        )
    }
    classes = torch.bincount(text.training).argsort(descending=True)[: size.classes]
    controller: Controller = (
        DropoutController() if setting.steered else Schedule((setting.dropout,))
    )
    read, at = [], []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shape = setting.depth, size.width, size.heads, size.context
        model = SmallLanguageModel(len(text.characters), *shape, scaled=setting.scaled).to(device)
        set_dropout(model, controller.dropout)
        optimizer = torch.optim.Adam(model.parameters(), lr=setting.learning_rate)
        for step, batch in enumerate(_batches(text.training, size, seed)):
            if step % (size.steps // size.readings) == 0:
                reading = read_model(model, probes, classes)
                read.append(reading.assign(dropout=controller.dropout))
                at.append(step)
                if setting.steered and step:
                    controller = controller.step(steering_convexity(reading))
                    set_dropout(model, controller.dropout)
            if step == size.steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = setting.learning_rate * min(1.0, (step + 1) / size.warm_up)
            characters, following = (part.to(device) for part in batch)
            loss = functional.cross_entropy(model(characters).flatten(0, 1), following.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = xr.concat(read, "reading").assign_coords(reading=at)
    return model, found.transpose("part", "reading", "layer")


def steering_convexity(reading: xr.Dataset) -> float:
    """Return what the controller goes by: the convexity of l = 1, ..., L on the training text.

    The embedding is left out: the step from it to the first block is large in all networks.
    """
    curve = reading.separation.sel(part="training").values[1:]
    return float(curve_statistics(curve, "convexity"))


@torch.no_grad()
def read_model(
    model: SmallLanguageModel, probes: Mapping[str, Probe], classes: Tensor
) -> xr.Dataset:
    """Return ``separation``, ``residual`` (part, layer) and ``loss`` (part) without dropout."""
    model.eval()
    device = next(model.parameters()).device
    separation, residual, losses = [], [], []
    for characters, following in probes.values():
        states = model.states(characters.to(device))
        logits = model.readout(model.norm(states[-1]))
        target = following.flatten()
        losses.append(functional.cross_entropy(logits.flatten(0, 1).cpu(), target).item())
        flat = [state.flatten(0, 1).cpu() for state in states]
        among = torch.isin(target, classes)
        separation.append(
            [data_separation(rms_normalised(state)[among], target[among]) for state in flat]
        )
        residual.append([prediction_residual(state, target) for state in flat])
    model.train()
    return xr.Dataset(
        {
            "separation": (("part", "layer"), separation),
            "residual": (("part", "layer"), residual),
            "loss": ("part", losses),
        },
        {"part": list(probes), "layer": np.arange(len(separation[0]))},
    )


def prediction_residual(states: Tensor, following: Tensor) -> float:
    """Return PR of the number of the next character from states (characters, width).

    As in `sbt_utils.language.residual.prediction_residual`, after a layer norm without weights.
    """
    read = functional.layer_norm(states.double(), states.shape[-1:])
    return float(residual_of_fit(read, following))


def _batches(ids: Tensor, size: Size, seed: int) -> Iterator[Probe]:
    """Yield random windows for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(ids) - size.context, (size.batch,), generator=generator)
        yield windows(ids, starts, size.context)
