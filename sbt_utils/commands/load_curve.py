"""``sbt-utils load-curve``: networks are trained, and their load curves printed."""

import json
from argparse import Namespace
from typing import Any

import numpy as np

from sbt_utils.commands.files import check_files, device_named, written
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.sweeping import experiments
from sbt_utils.training.ranges import RANGES


def run(options: Namespace) -> None:
    """Train networks and print, write or plot their load curves."""
    from sbt_utils.data.datasets import load_data
    from sbt_utils.drawing import load_curves
    from sbt_utils.measuring.evaluation import evaluate
    from sbt_utils.training.networks import MLP
    from sbt_utils.training.trainer import train

    if not 1 <= options.seeds <= experiments.MOST_NETWORKS:
        raise ValueError(
            f"seeds={options.seeds}: give at least 1 and at most {experiments.MOST_NETWORKS}"
        )
    check_files(options)
    options.device = device_named(options.device)
    data = load_data(options.dataset, options.train, options.test, options.size)
    images = {"train": (data.train_images, data.train_labels)}
    images["test"] = (data.test_images, data.test_labels)
    inputs = data.train_images[0].numel()
    model = MLP(inputs, options.width, options.hidden_layers, data.classes)
    names = (*RANGES, "batch_size", "epochs", "optimizer", "device")
    settings: Any = {name: getattr(options, name) for name in names}
    trained = train(model, *images["train"], seeds=range(options.seeds), **settings)
    networks = list(trained.networks)
    measured = {part: evaluate(networks, *images[part], options.measure) for part in images}
    separation = {part: measured[part].separation.values for part in images}
    sound = np.isfinite(np.hstack(list(separation.values()))).all(1)
    if not sound.any():
        raise ValueError(
            f"seeds {list(range(options.seeds))} have collapsed, D is undefined: train more gently"
        )
    seeds = [
        {
            "seed": seed,
            "separation_train": _numbers(separation["train"][seed]),
            "separation_test": _numbers(separation["test"][seed]),
            "accuracy_test": measured["test"].accuracy[seed].item(),
        }
        for seed in range(options.seeds)
    ]
    curves = {part: LoadCurve(separation[part][sound]) for part in images}
    named = {"training images": curves["train"], "test images": curves["test"]}
    left_out = ("run", "json", "plot")
    configuration = {k: v for k, v in vars(options).items() if k not in left_out}
    text = json.dumps({"configuration": configuration, "seeds": seeds}, indent=1)
    with written(options, text, lambda: load_curves(named)):
        _print_curves(seeds, sound, curves)


def _print_curves(
    seeds: list[dict[str, Any]], sound: np.ndarray, curves: dict[str, LoadCurve]
) -> None:
    """Print a line for each seed, and what the curves of those that are sound have in common."""
    print("layer      " + "".join(f"{layer:8d}" for layer in range(len(curves["train"].mean))))
    for seed in seeds:
        numbers = (np.nan if value is None else value for value in seed["separation_train"])
        values = "".join(f"{value:8.3f}" for value in numbers)
        print(f"D, seed {seed['seed']:<3d}{values}   test accuracy {seed['accuracy_test']:.2%}")
    if not sound.all():
        collapsed = np.flatnonzero(~sound).tolist()
        print(f"seeds {collapsed} have collapsed and are left out of what follows")
    for part, curve in curves.items():
        print(f"{part}: {curve.verdict}; r = {curve.linearity:.4f}")


def _numbers(curve: np.ndarray) -> list[float | None]:
    """Return a curve for JSON, which knows no nan."""
    return [float(value) if np.isfinite(value) else None for value in curve]
