"""Networks, the published protocol, and steering by the load curve."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "networks": "CNN MLP",
        "trainer": "Training train",
        "steering": "steer",
        "controllers": "Controller DropoutController Schedule set_dropout",
        "ranges": "OPTIMIZERS RANGES",
    },
)
