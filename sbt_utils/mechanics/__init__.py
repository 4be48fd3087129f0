"""The spring-block chain, the folding ruler, and the chain that matches a network."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "chain": "SpringBlockChain",
        "trajectories": "Trajectory curve_of",
        "chain_theory": "drift relaxation stationary_covariance",
        "matching": "Match fit_chain",
        "published_chains": "DURATION DURATION_OVERDAMPED FIRST_ORDER SECOND_ORDER "
        "in_units relaxed_curve theory_diagram",
        "ruler": "FoldingRuler GRAVITY ImpossiblePull Motion",
        "hand": "Hand",
        "pulls": "quick_and_jerky slow_and_steady",
    },
)
