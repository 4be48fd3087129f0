"""Where readings are logged: Lightning's loggers, TensorBoard's writers, runs of W&B."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbt_utils.watching.readings import CurveReading

GROUP = "load_curve/"
"""What the names of all that is logged begin with."""

PICTURE = f"{GROUP}picture"


def can_log(to: Any) -> bool:
    """Tell whether `send` knows what to do with a logger."""
    return any(hasattr(to, method) for method in ("log_metrics", "add_image", "log"))


def send(to: Any, reading: CurveReading, picture: np.ndarray | None, commit: bool = False) -> None:
    """Log the scalars and the picture, an image (height, width, 3), of a reading.

    `commit` ends the row of a run of W&B; without it, what the training logs next is in the same.
    """
    step = reading.step
    scalars = {GROUP + name: value for name, value in reading.scalars.items()}
    if hasattr(to, "log_metrics"):  # Lightning's
        to.log_metrics(scalars, step=step)
        if picture is not None and hasattr(to, "log_image"):  # of W&B
            to.log_image(PICTURE, [picture], step=step)
        elif picture is not None and hasattr(to.experiment, "add_image"):
            to.experiment.add_image(PICTURE, picture, step, dataformats="HWC")
    elif hasattr(to, "add_image"):
        for name, value in scalars.items():
            to.add_scalar(name, value, step)
        if picture is not None:
            to.add_image(PICTURE, picture, step, dataformats="HWC")
        to.flush()
    else:
        values: dict[str, Any] = {**scalars, "train/global_step": step}
        if picture is not None:
            values[PICTURE] = sys.modules["wandb"].Image(picture)  # which has made the run
        to.log(values, commit=commit)


def hugging_face_loggers(arguments: Any) -> Sequence[Any]:
    """Return where a Trainer with these TrainingArguments reports to, as far as it is known here.

    It does not hand out its writer of TensorBoard, which gets a neighbour in a folder below: of two
    writers in one folder, TensorBoard reads the later one alone.
    """
    loggers: list[Any] = []
    if "tensorboard" in arguments.report_to:
        from torch.utils.tensorboard import SummaryWriter

        loggers.append(SummaryWriter(str(_run_folder(arguments) / "load_curve")))
    if "wandb" in arguments.report_to:
        loggers.append(sys.modules["wandb"])  # its functions are those of the current run
    return loggers


def _run_folder(arguments: Any) -> Path:
    """Return the folder of the Trainer's own writer, which has just been made."""
    named = getattr(arguments, "logging_dir", None) or os.environ.get("TENSORBOARD_LOGGING_DIR")
    if named:
        return Path(named).expanduser()
    runs = Path(arguments.output_dir) / "runs"
    return max(runs.glob("*/"), key=lambda folder: folder.stat().st_mtime, default=runs)
