"""What happens inside a model that somebody brings: its inputs, its calls, and its layers."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "trunk": "Look look",
        "layer_choice": "Chosen choose_layers",
    },
)
