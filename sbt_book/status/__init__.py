"""The reproduction status: each number and statement of the paper against ours."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "verdicts": "NOT_YET Finding as_cards count provenance status_table",
        "network_findings": (
            "convolutional_findings fewer_images_findings law_findings published_findings"
            " statement_findings"
        ),
        "theory_findings": (
            "chain_against_curves force_findings friction_findings language_findings"
            " order_findings protocol_findings"
        ),
        "device_findings": "gpu_findings",
        "mechanical_findings": "chain_diagram_findings chain_findings ruler_findings time_findings",
    },
)
