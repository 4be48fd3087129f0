"""Chapter 3: the spring-block chain's own phase diagram, and the chains that match networks."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "simulated_diagrams": "all_diagrams mechanical_diagram",
        "diagram_matching": "fit_cells fit_diagram",
        "null_models": "additive_convexities additive_shapes exponential parabola",
        "held_out": "held_out_scores",
        "null_experiment": "null_scores null_verdict",
        "driven_matching": "driven_table fitted_cells net_force one_number two_numbers",
        "driven_experiment": "fitted_drives",
        "figures": "chains_and_curves drift_curves mechanical_diagrams skewed_noise",
        "matching_figures": "in_time matched_forces side_by_side",
        "null_figures": "fitted_drives_by_slope scores_of_models",
    },
)
