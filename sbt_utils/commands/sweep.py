"""``sbt-utils sweep``: the networks of a grid are trained, and their load curves kept."""

from argparse import Namespace
from contextlib import nullcontext
from dataclasses import fields
from datetime import timedelta

from sbt_utils.commands.files import device_named
from sbt_utils.sweeping import experiments
from sbt_utils.text import shown
from sbt_utils.training.ranges import RANGES


def run(options: Namespace) -> None:
    """Train the networks of a phase diagram, or of a grid, and write their load curves."""
    from sbt_utils.sweeping.sweeps import sweep
    from sbt_utils.sweeping.tasks import plan
    from sbt_utils.sweeping.workers import LocalProcesses

    experiment = _experiment(options)
    device = device_named(options.device)
    if options.dry_run:
        costs = plan(experiment, options.shard_size, device)
        print(f"{costs['networks']} networks in {costs['shards']} shards")
        print(f"{costs['operations']:.2g} floating-point operations in training")
        print(f"at most {timedelta(seconds=round(costs['seconds']))} on this machine")
        return
    if options.out is None:
        raise ValueError("out: name a file for the results, --out FILE.nc")
    with nullcontext() if options.workers is None else LocalProcesses(options.workers) as executor:
        diagram = sweep(
            experiment,
            out=options.out,
            executor=executor,
            resume=not options.no_resume,
            device=device,
            shard_size=options.shard_size,
        )
    sizes = " x ".join(f"{size} {name}" for name, size in diagram.epochs.sizes.items())
    print(f"{options.out}: {sizes}, test accuracy {diagram.accuracy_test.mean():.2%} on average")
    if differing := diagram.attrs.get("shards_differ_in"):
        print(f"its shards were not all made alike: {shown(differing, 1000)}")


def _experiment(options: Namespace) -> experiments.Experiment:
    names = {field.name for field in fields(experiments.Experiment)} - {"axes"}
    settings = {name: value for name, value in vars(options).items() if name in names}
    if bool(options.experiment) == bool(options.axis):
        raise ValueError("experiment: name one, or give --axis twice")
    if options.experiment:
        return experiments.published(options.experiment, options.profile, **settings)
    axes = {name: [_level(name, level) for level in levels] for name, *levels in options.axis}
    return experiments.Experiment(axes, **settings)


def _level(name: str, text: str) -> float | int | str:
    """Return a level of an axis; `Experiment` refuses text where it needs a number."""
    kind = int if name in experiments.COUNTS else float if name in RANGES else str
    try:
        return kind(text)
    except ValueError:
        return text
