"""Chapter 1: where the law of data separation holds, and where it fails."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "experiment": "Kind linearity linearity_of linearity_table",
        "figures": "curves_in_time digits feature_clouds law_by_protocol",
        "protocol": "Run Stage balanced feedforward law_protocol protocol_runs separations trained",
        "protocol_findings": "frozen_against_joint protocol_summary protocol_table",
    },
)
