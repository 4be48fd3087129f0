"""Load curves while a network trains: in a loop, in Lightning, in Hugging Face's Trainer."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__, {"callback": "LoadCurveCallback", "readings": "CurveReading"}
)
