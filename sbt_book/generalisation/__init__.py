"""Chapter 6: what the shape of a load curve says of test accuracy."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "correlations": "Estimate correlations_at networks_of rank_correlation_at",
        "level_choice": "MOST_GIVEN_UP cost_of_choice straightest_and_best",
        "prediction": "early_prediction learned_elsewhere",
        "minima": "sharpness",
        "measures": (
            "davies_bouldin effective_rank gradient_weight_alignment mixup_error probe_error"
        ),
        "rivals": "follow_rivals",
        "rival_scores": "NAMES costs goodness order_of_settings order_of_twins verdicts",
        "rival_figures": "orders",
        "convolutional_experiment": "dropout_experiment join_seeds",
        "figures": (
            "accuracy_and_shape correlations_held_fixed prediction_in_time shape_in_time "
            "within_cells"
        ),
    },
)
