"""Every odd value for every argument, one at a time: taken, or refused by the argument's name."""

import pytest
from fuzzing import answer
from odd_values import NUMBERS, WRONG, within
from small_training import problem

from sbt_book.ruler.diagram import ruler_diagram
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import drift, relaxation
from sbt_utils.mechanics.matching import fit_chain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, theory_diagram
from sbt_utils.mechanics.pulls import quick_and_jerky
from sbt_utils.mechanics.ruler import FoldingRuler
from sbt_utils.reporting.stress_map import report
from sbt_utils.sweeping.experiments import Experiment, published
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.sweeping.workers import LocalProcesses
from sbt_utils.training.controllers import DropoutController, Schedule, set_dropout
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.steering import steer
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

SECONDS = 60
ODD = [*WRONG, *NUMBERS, 2**31, 2**40, 2**62, 10**30]
IMAGES, LABELS = problem(images=24, inputs=4, classes=3)
NETWORK = MLP(inputs=4, width=5, hidden_layers=2, classes=3)
GRID = {"width": [2], "dropout": [0.0]}
SMALL = {"seeds": 1, "train": 30, "test": 100, "epochs": 1, "hidden_layers": 1}
SMALL |= {"dataset": "gaussian_mixture", "size": 2}
CHAIN, RULER = SpringBlockChain(blocks=3), FoldingRuler(sections=2)
HAND, SCHEDULE, EXPERIMENT = quick_and_jerky(RULER), Schedule((0.1,)), Experiment(GRID, **SMALL)
CURVE = LoadCurve([1.0, 0.7, 0.5, 0.2, 0.0])


def trained(**settings):
    return train(NETWORK, IMAGES, LABELS, **{"epochs": 1, "progress": False} | settings)


def steered(controllers=SCHEDULE, **settings):
    settings = {"epochs": 1, "every": 1, "probe_images": 20, "progress": False} | settings
    return steer(NETWORK, IMAGES, LABELS, controllers=controllers, **settings)


def swept(experiment=EXPERIMENT, **settings):
    return sweep(experiment, **settings, progress=False)


def mapped(**settings):
    return report(NETWORK, IMAGES, LABELS, **{"resamples": 40} | settings)


def diagram(speeds=(2.0,), amplitudes=(0.0,), seeds=(1,)):
    return ruler_diagram(RULER, speeds, amplitudes, seeds)


def theory(friction=(0.1,), noise=(0.1,), **settings):
    return theory_diagram(SECOND_ORDER, friction, noise, **settings)


# What is tried, the arguments, and other names that a message may have for them.
CASES = [
    (MLP, "inputs width hidden_layers classes negative_slope dropout batch_norm", ""),
    (CNN, "inputs size channels hidden_layers classes negative_slope dropout", ""),
    (trained, "seeds learning_rate data_noise batch_size epochs optimizer", "seed settings"),
    (trained, "negative_slope dropout weight_noise separation_every device layers", "settings"),
    (steered, "controllers seeds epochs every probe_images unseen layers", "seed data labels"),
    (steered, "learning_rate batch_size optimizer", "controllers settings"),
    (DropoutController, "memory gain integral_gain target limit highest error", "dropout"),
    (Schedule, "levels", "dropout"),
    (lambda dropout: set_dropout(NETWORK, dropout), "dropout", ""),
    (lambda axes: Experiment(axes), "axes", ""),
    (lambda **settings: Experiment(GRID, **settings), " ".join([*SMALL, "root"]), "axes"),
    (published, "experiment", ""),
    (lambda profile: published("dropout", profile), "profile", ""),
    (swept, "experiment executor shard_size device out", ""),
    (lambda workers: LocalProcesses(workers).shutdown(), "workers", ""),
    (lambda name="mnist", **settings: load_data(name, **settings), "name train test size seed", ""),
    (mapped, "resamples seed batch_size pool mask forward layers", "data"),
    (
        lambda **settings: load_curve(NETWORK, IMAGES, LABELS, **settings),
        "measure batch_size layers",
        "",
    ),
    (lambda **settings: evaluate(NETWORK, IMAGES, LABELS, **settings), "measure layers", ""),
    (LoadCurve, "separation", ""),
    (SpringBlockChain, "blocks spring_constant mass damping friction_right friction_left", ""),
    (SpringBlockChain, "noise noise_decay common_noise end force drive skewness", ""),
    (CHAIN.simulate, "duration dt seed seeds every start", "every"),
    (lambda force: drift(CHAIN, force), "force", ""),
    (lambda times: relaxation(CHAIN, times), "times", ""),
    (fit_chain, "curve", ""),
    (lambda **settings: fit_chain(CURVE, 0.01, **settings), "trajectories chain", ""),
    (theory, "friction noise duration", "friction_right times"),
    (FoldingRuler, "sections section_length mass table_friction hinge_friction opening", ""),
    (lambda **settings: quick_and_jerky(RULER, **settings), "reach speed amplitude seed", "speed"),
    (lambda **settings: RULER.pull(**{"hand": HAND} | settings), "hand dt every", "every"),
    (diagram, "speeds amplitudes seeds", "speed amplitude seed"),
]


@pytest.fixture(scope="module")
def _compiled():
    """Compile what chains and rulers move by, which is not part of the time that they may take."""
    CHAIN.simulate(1.0)
    fit_chain(CURVE, 0.01, trajectories=1)
    RULER.pull(HAND)


@pytest.mark.usefixtures("_compiled")
@pytest.mark.parametrize(("function", "names", "others"), CASES)
def test_odd_values(function, names, others):
    for name in names.split():
        for value in ODD:
            with within(SECONDS):
                answer(lambda n=name, v=value: function(**{n: v}), name, *others.split())
