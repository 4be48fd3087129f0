"""Which layers of a deep network do the work: measure them, train networks, compare with chains.

>>> import sbt_utils as sbt
>>> sbt.SpringBlockChain(noise=0.0).simulate(duration=5000.0, every=1000).load_curve.regime
'lazy'

Names are imported when they are first used: `import sbt_utils` is quick and loads no PyTorch.
"""

from typing import TYPE_CHECKING, Any

from sbt_utils.lazily import exports

if TYPE_CHECKING:  # for editors and type checkers
    from sbt_utils.data.datasets import load_data as load_data
    from sbt_utils.drawing import stress_map as stress_map
    from sbt_utils.measuring.curves import LoadCurve as LoadCurve
    from sbt_utils.measuring.evaluation import evaluate as evaluate
    from sbt_utils.measuring.probe import load_curve as load_curve
    from sbt_utils.measuring.separation import data_separation as data_separation
    from sbt_utils.measuring.skipping import removal as removal
    from sbt_utils.mechanics.chain import SpringBlockChain as SpringBlockChain
    from sbt_utils.mechanics.hand import Hand as Hand
    from sbt_utils.mechanics.matching import fit_chain as fit_chain
    from sbt_utils.mechanics.ruler import FoldingRuler as FoldingRuler
    from sbt_utils.reporting.comparison import compare as compare
    from sbt_utils.reporting.stress_map import StressMap as StressMap
    from sbt_utils.reporting.stress_map import report as report
    from sbt_utils.sweeping.experiments import Experiment as Experiment
    from sbt_utils.sweeping.sweeps import sweep as sweep
    from sbt_utils.training.networks import CNN as CNN
    from sbt_utils.training.networks import MLP as MLP
    from sbt_utils.training.steering import steer as steer
    from sbt_utils.training.trainer import train as train
    from sbt_utils.watching.callback import LoadCurveCallback as LoadCurveCallback

_imported, __dir__, __all__ = exports(
    __name__,
    {
        "measuring.separation": "data_separation",
        "measuring.probe": "load_curve",
        "measuring.curves": "LoadCurve",
        "measuring.evaluation": "evaluate",
        "measuring.skipping": "removal",
        "reporting.comparison": "compare",
        "reporting.stress_map": "StressMap report",
        "watching.callback": "LoadCurveCallback",
        "drawing": "stress_map",
        "data.datasets": "load_data",
        "training.networks": "CNN MLP",
        "training.trainer": "train",
        "training.steering": "steer",
        "sweeping.experiments": "Experiment",
        "sweeping.sweeps": "sweep",
        "mechanics.chain": "SpringBlockChain",
        "mechanics.ruler": "FoldingRuler",
        "mechanics.hand": "Hand",
        "mechanics.matching": "fit_chain",
    },
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # takes longer to import than all else here

        return version("sbt-utils")
    return _imported(name)
