"""Many networks as one stack: layers, noise and the compiled step."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "ensemble": "Ensemble initial_state member_network",
        "stacked_layers": "State",
        "noise": "draw_keys seed_words",
    },
)
