"""The commands of ``sbt-utils``: load curves, sweeps and reports."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "command_line": "main",
    },
)
