"""A load curve every so many steps of a training: in a loop, in Lightning, in a Trainer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sbt_utils.measuring.probing import Probe
from sbt_utils.measuring.scatter import ScatterStatistics
from sbt_utils.models.batches import Data
from sbt_utils.models.calls import unwrapped
from sbt_utils.models.forward import Forward
from sbt_utils.models.layer_choice import Layers
from sbt_utils.models.pools import Pool
from sbt_utils.text import quoted, shown
from sbt_utils.watching.loggers import can_log, hugging_face_loggers, send
from sbt_utils.watching.pace import Pace
from sbt_utils.watching.probe_set import probe_set
from sbt_utils.watching.readings import CurveReading, read
from sbt_utils.watching.undisturbed import (
    check_is_whole,
    is_elsewhere,
    nothing,
    seeded,
    undisturbed,
)

if TYPE_CHECKING:
    from typing import Any as EitherCallback  # for type checkers, Lightning's and Hugging Face's

    from matplotlib.figure import Figure
else:
    EitherCallback = object


class LoadCurveCallback(EitherCallback):
    """Watch which layers of a network do the work while it trains.

    Every so many steps the load curve of the network is measured on a few samples, always the same
    ones. In a loop of your own, call it with the model and the step; in Lightning (``lightning`` or
    ``pytorch_lightning``) and in Hugging Face's Trainer, put it in the list of callbacks. The
    training itself is left as it was, to the last bit: weights, buffers, modes, gradients, random
    numbers. If a network cannot be measured, because it has diverged or for whatever reason, its
    reading says so, a warning is given once, and the training goes on.

    Parameters
    ----------
    data : tuple (inputs, labels), mapping, loader of batches, or data set
        In any form that `sbt_utils.measuring.probe.load_curve` takes. Inputs without augmentation
        tell the most; those that the network does not train on tell of overfitting.
    labels : optional
        As there: the labels, where `data` holds the inputs alone, or a function that finds them.
    every : int, optional
        Steps between two readings, taken at its multiples. By default as few as cost less than 3 %
        of the time, 100 times a power of two: runs of different speed share some steps.
        After the reading at the start, which comes in any case, there is none before 100 times what
        that took. Give a number for a short training, or to compare runs step by step.
    samples : int
        How many samples are measured, and kept. They are chosen at random from a seed, once, or
        are the first ones of what yields batches and nothing else. Of arrays with more than
        ``samples / 8`` classes only so many classes are watched.
    layers, pool, mask, forward : optional
        What to measure, and how to call the network, as in `load_curve`. With `forward`, only run
        it: a ``training_step`` may step an optimizer or count into a metric.
    batch_size : int
        Samples in one forward pass; a loader sets its own.
    log_to : optional
        Where the readings go: a ``SummaryWriter`` of TensorBoard, a run of W&B, or a logger of
        Lightning. By default Lightning's own loggers; or what Hugging Face's ``report_to`` names,
        of TensorBoard and W&B, the former as a run called ``load_curve`` below that of the Trainer;
        in a loop nowhere. They get the scalars ``load_curve/convexity``, ``load_curve/fall`` (D_0 -
        D_L) and ``load_curve/most_loaded_layer`` (its number l), and ``load_curve/picture``.

    Attributes
    ----------
    readings : list of CurveReading
        All so far, see `sbt_utils.watching.readings.CurveReading`. They start anew where a step
        comes after a later one: with another training.

    Raises
    ------
    TypeError, ValueError
        Data, numbers or functions that do not fit, when it is made. Nothing that happens in the
        training raises.

    Warns
    -----
    UserWarning
        Once, where the network could not be measured, not all of its layers have a D, or a logger
        failed.

    Notes
    -----
    Where several processes train, the first one measures, and the others go on. A model whose
    parameters are spread over processes (FSDP, DeepSpeed's third stage) is not measured. Mixed
    precision is off while it is measured, unless the model switches it on itself.

    Examples
    --------
    In a loop, with or without ``log_to``:

    >>> import torch
    >>> from sbt_utils.training.networks import MLP
    >>> _ = torch.manual_seed(0)
    >>> images, labels = torch.randn(200, 1, 8, 8), torch.arange(200) % 4
    >>> model = MLP(64, 16, 4, 4)
    >>> watch = LoadCurveCallback((images, labels), every=10)
    >>> for step in range(30):
    ...     # here: loss.backward(), optimizer.step()
    ...     if reading := watch(model, step):
    ...         print(reading.step, reading.curve.layers[-1])
    0 activation4
    10 activation4
    20 activation4

    In Lightning, and in Hugging Face's Trainer:

    >>> L.Trainer(callbacks=[LoadCurveCallback((images, labels))])  # doctest: +SKIP
    >>> Trainer(model, callbacks=[LoadCurveCallback(dataset)], ...)  # doctest: +SKIP
    """

    state_key = _legacy_state_key = "LoadCurveCallback"  # Lightning's

    def __init__(
        self,
        data: Data,
        labels: ArrayLike | Tensor | Callable[[Any], Any] | None = None,
        *,
        every: int | None = None,
        samples: int = 512,
        layers: Layers | None = None,
        pool: Pool | None = None,
        mask: Callable[[Any], Any] | None = None,
        forward: Forward | None = None,
        batch_size: int = 128,
        log_to: Any = None,
    ) -> None:
        _check_count("every", 1 if every is None else every, 1)
        _check_count("samples", samples, 4)
        _check_count("batch_size", batch_size, 1)
        if log_to is not None and not can_log(log_to):
            raise TypeError(
                f"log_to: {type(log_to).__name__} given; give a SummaryWriter, a run of W&B, or a "
                "logger of Lightning"
            )
        # Now, rather than while it trains: Matplotlib and compiled code are slow to load.
        from sbt_utils.watching.picture import as_pixels, drawn_readings

        ScatterStatistics().update(torch.eye(2), [0, 1])
        self._draw, self._as_pixels = drawn_readings, as_pixels
        how = (pool, mask, forward, labels if callable(labels) else None)
        Probe(nn.Identity(), None, *how)  # raises where these do not fit
        self._new_probe = partial(_new_probe, layers=layers, how=how)
        with seeded():
            self._batches = probe_set(data, labels, samples, batch_size)
        self._every, self._log_to = every, log_to
        self._loggers: Sequence[Any] = ()  # of Hugging Face's Trainer
        self._warned = False
        self._start()

    def _start(self) -> None:
        self._pace = Pace(self._every)
        self._probe: Probe | None = None
        self.readings: list[CurveReading] = []

    def __call__(self, model: nn.Module, step: int) -> CurveReading | None:
        """Measure the model, if this step is due.

        Parameters
        ----------
        model : torch.nn.Module
            In training; as `sbt_utils.measuring.probe.load_curve` takes it.
        step : int
            Counts batches or updates, 0 or above.

        Returns
        -------
        CurveReading or None
            None if the step is not due, or another process measures.
        """
        _check_count("step", step, 0)
        return self._watch(model, step, ())

    def picture(self) -> Figure:
        """Draw the last load curve and those before it.

        Raises
        ------
        ValueError
            No load curve has been measured yet.
        """
        if not any(reading.curve for reading in self.readings):
            raise ValueError("readings: no load curve yet; measure one, or see what they say")
        return self._draw(self.readings)

    def _watch(
        self, model: nn.Module, step: int, loggers: Sequence[Any], commit: bool = False
    ) -> CurveReading | None:
        if step < self._pace.latest:
            self._start()
        if not self._pace.is_due(step) or is_elsewhere():
            return None
        began = perf_counter()
        reading = self._measured(model, step)
        self.readings.append(reading)
        if reading.remark:
            self._warn(str(reading))
        self._log(loggers if self._log_to is None else (self._log_to,), commit)
        self._pace.read(step, began)
        return reading

    def _measured(self, model: nn.Module, step: int) -> CurveReading:
        try:
            with warnings.catch_warnings():
                if self.readings:  # they were given at the first one
                    warnings.simplefilter("ignore")
                check_is_whole(model)
                if self._probe is None or self._probe.model is not unwrapped(model):
                    self._probe = self._new_probe(model)
                with undisturbed(self._probe.model):
                    return read(self._probe, self._batches, step)
        except Exception as error:  # whatever it is, the training is worth more
            self._probe = None  # another look may find what has changed
            text = "; ".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])
            return CurveReading(step, problem=shown(text, 500))

    def _log(self, loggers: Sequence[Any], commit: bool) -> None:
        reading, pixels = self.readings[-1], None
        for logger in loggers:
            try:
                if pixels is None and reading.curve is not None:
                    pixels = self._as_pixels(self.picture())
                send(logger, reading, pixels, commit)
            except Exception as error:
                text = shown(f"{type(error).__name__}: {error}", 300)
                self._warn(f"step {reading.step}: {type(logger).__name__} did not log ({text})")

    def _warn(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{message}. Training goes on, and no more is said but in the readings.",
                stacklevel=4,
            )

    # What follows answers the two frameworks. They ask each callback by name for many functions,
    # and neither asks of which class it is.

    def on_train_start(self, trainer: Any, module: nn.Module) -> None:
        """Measure before training: Lightning."""
        if trainer.is_global_zero:
            self._watch(module, trainer.global_step, trainer.loggers)

    def on_train_batch_end(self, trainer: Any, module: nn.Module, *_: Any, **__: Any) -> None:
        """Measure after a step: Lightning."""
        self.on_train_start(trainer, module)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Measure before training: Hugging Face."""
        if state.is_world_process_zero and self._log_to is None:
            try:
                self._loggers = hugging_face_loggers(args)
            except Exception as error:  # TensorBoard, for one, may be missing
                self._warn(f"nothing is logged ({type(error).__name__}: {shown(error, 300)})")
        self.on_step_end(args, state, control, **given)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Measure after a step: Hugging Face."""
        if state.is_world_process_zero:
            self._watch(given["model"], state.global_step, self._loggers, commit=True)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Close what Hugging Face's Trainer did not open."""
        for logger in self._loggers:
            getattr(logger, "close", nothing)()
        self._loggers = ()

    def state_dict(self) -> dict[str, Any]:
        """Leave nothing in checkpoints: Lightning."""
        return {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Do nothing at all other times that a framework calls its callbacks."""
        if name.startswith("on_") or name in ("setup", "teardown"):
            return nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _new_probe(model: nn.Module, layers: Layers | None, how: tuple[Any, ...]) -> Probe:
    return Probe(model, layers, *how)


def _check_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: {quoted(value)} given; give an integer of {least} or more")
