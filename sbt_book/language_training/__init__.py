"""Chapter 11: small language models that are trained, and steered."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(__name__, {})
