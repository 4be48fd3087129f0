"""JSON as the standard has it."""

import json


def strict(text):
    """Read JSON; NaN and infinities, which Python takes, are none."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
