"""The laboratory: the full trainer with knobs, for a live kernel on a processor or a GPU."""

import threading
from typing import Any

import numpy as np
import traitlets
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.live.explorable import Explorable, joined, picture, styles
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.networks import MLP
from sbt_utils.training.settings import check_device
from sbt_utils.training.trainer import train

KNOBS = ("negative_slope", "dropout", "learning_rate", "data_noise", "batch_size")
"""What a reader sets; the names of `sbt_utils.training.trainer.train`."""


class Laboratory(Explorable):
    """Train networks by the published protocol, stop them, and compare their load curves.

    A run trains ``networks`` networks at once, with seeds 0, 1, ..., for up to ``epochs`` epochs on
    ``device``. The Train button and `train` do the same. Runs are overlaid, and `dataset` exports
    them. A page without a kernel shows the runs that were saved with it.

    Parameters
    ----------
    data : sbt_utils.data.datasets.Dataset, optional
        To train on; default the embedded digits, 2,560 of them.
    **traits : Any
        Initial values of the traits: ``negative_slope`` α, ``dropout`` p, ``learning_rate``,
        ``data_noise``, ``batch_size`` (0: all images in one step), ``epochs``, ``networks``,
        ``device``. ``traitlets.TraitError`` or ``ValueError`` for a value that is out of range, or
        a device that this machine does not have. ``training`` and ``progress`` (0..1) say what is
        going on, ``runs`` what has been measured.
    """

    _esm = joined("laboratory/laboratory.js")
    _css = styles("laboratory/laboratory.css")

    negative_slope = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    dropout = traitlets.Float(0.0, min=0.0, max=0.9).tag(sync=True)
    learning_rate = traitlets.Float(0.001, min=1e-5, max=1.0).tag(sync=True)
    data_noise = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    batch_size = traitlets.Int(0, min=0).tag(sync=True)
    epochs = traitlets.Int(100, min=1, max=10_000).tag(sync=True)
    networks = traitlets.Int(3, min=1, max=100).tag(sync=True)
    device = traitlets.Unicode("cpu").tag(sync=True)
    training = traitlets.Bool(False).tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    runs = traitlets.List(traitlets.Dict()).tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)

    words = "The load curves of the networks that were trained when this page was made."

    def __init__(self, data: Dataset | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        check_device(self.device)
        self._data = load_data() if data is None else data
        self._stopped = threading.Event()
        self.on_msg(self._answer)

    def train(self) -> None:
        """Train with the present knobs until all epochs are done or `stop` is called."""
        if self.training:
            raise RuntimeError("a training is under way; call stop() first")
        self._stopped.clear()
        self.training, self.message = True, ""
        before, knobs = self.runs, {name: getattr(self, name) for name in KNOBS}
        epochs, networks, state = self.epochs, self.networks, None
        network = MLP(self._data.train_images[0].numel(), classes=self._data.classes)
        try:
            for done in np.unique(np.linspace(0, epochs, min(epochs, 20) + 1).astype(int)[1:]):
                trained = train(
                    network,
                    (self._data.train_images, self._data.train_labels),
                    seeds=range(networks),
                    epochs=int(done),
                    device=self.device,
                    resume=state,
                    progress=False,
                    **{**knobs, "batch_size": knobs["batch_size"] or None},
                )
                state = trained.state
                run = self._measured(list(trained.networks))
                self.runs = [*before, {"name": _name(**knobs), "epochs": int(done), **knobs, **run}]
                self.progress = float(done / epochs)
                if self._stopped.is_set() or state["stopped"].all():
                    break
        finally:
            self.training = False

    def stop(self) -> None:
        """Let a training end after its present epochs; what it has learnt stays."""
        self._stopped.set()

    def clear(self) -> None:
        """Forget all runs, unless a training is under way."""
        if not self.training:
            self.runs, self.progress = [], 0.0

    @property
    def load_curve(self) -> LoadCurve | None:
        """Load curve of the latest run, a repeat for each network; None before there is one."""
        return LoadCurve(np.array(self.runs[-1]["separation"])) if self.runs else None

    @property
    def dataset(self) -> xr.Dataset:
        """All runs: ``separation`` (run, network, layer), ``loss_train`` and ``accuracy_test``.

        ``epochs`` trained and the knobs have the dimension run alone. Fewer networks than the
        largest run has leave nan.
        """
        runs = []
        for run in self.runs:
            parts = {
                "separation": (("network", "layer"), np.array(run["separation"])),
                "loss_train": ("network", np.array(run["loss"])),
                "accuracy_test": ("network", np.array(run["accuracy_test"])),
                "epochs": run["epochs"],
                **{name: run[name] for name in KNOBS},
            }
            count = len(run["accuracy_test"])
            runs.append(xr.Dataset(parts, coords={"network": np.arange(count)}))
        joined_runs = xr.concat(runs, "run", join="outer") if runs else xr.Dataset()
        return joined_runs.assign_attrs(data=self._data.source)

    def still(self) -> Figure:
        """Return the load curves of all runs."""
        curves = [(run["name"], np.mean(run["separation"], axis=0), "o-") for run in self.runs]
        return picture(curves, "layer l", "data separation D")

    def _measured(self, networks: list[Any]) -> dict[str, Any]:
        """Return lists of what is measured, an entry for each network."""
        data = self._data
        of_train = evaluate(networks, (data.train_images, data.train_labels))
        of_test = evaluate(networks, (data.test_images, data.test_labels))
        return {
            "separation": of_train.separation.values.tolist(),
            "loss": of_train.loss.values.tolist(),
            "accuracy_test": of_test.accuracy.values.tolist(),
        }

    def _answer(self, _: Any, content: Any, buffers: Any) -> None:
        """Do what the page asks for."""
        if content == "hello":
            self.send("hello")
        elif content == "stop":
            self.stop()
        elif content == "clear":
            self.clear()
        elif content == "train" and not self.training:
            # In a thread of its own, so that the kernel hears the Stop button.
            threading.Thread(target=self._train_and_tell, daemon=True).start()

    def _train_and_tell(self) -> None:
        try:
            self.train()
        except Exception as error:  # there is no cell to show it in
            self.message = str(error)


def _name(
    negative_slope: float,
    dropout: float,
    learning_rate: float,
    data_noise: float,
    batch_size: int,
) -> str:
    """Return a run's name: α, p, and where it leaves the published protocol."""
    parts = [f"α = {negative_slope:g}", f"p = {dropout:g}"]
    parts += [f"rate {learning_rate:g}"] * (learning_rate != 1e-3)
    parts += [f"data noise {data_noise:.0%}"] * (data_noise > 0)
    return ", ".join(parts + [f"batches of {batch_size}"] * (batch_size > 0))
