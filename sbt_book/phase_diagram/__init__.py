"""Chapter 4: the phase diagrams of networks, held against the published ones."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "published": "agreement_table compare deviation_by_chance published_diagram",
        "fewer_images": "deviation_draws without_new_networks",
        "devices": "apart as_columns diagram_of",
        "summaries": "cell_summary one_family universality_table",
        "cell_figures": (
            "cells_compared diagram_excerpt seeds_apart train_and_test worst_cells worst_of_each"
        ),
        "device_figures": "gpu_against_cpu",
        "diagram_figures": "cell_values phase_diagram shape_and_accuracy",
        "noise_figures": (
            "accuracy_against_convexity convexity_against_noise shape_family with_fewer_images"
        ),
    },
)
