"""Chapter 11: the blocks of a trained language model."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(__name__, {})
