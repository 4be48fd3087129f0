"""Pages quote numbers that the reproduction status has."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_number_that_a_page_quotes_is_there():
    cells = json.loads((ROOT / "notebooks/reproduction_status.ipynb").read_text())["cells"]
    records = [
        output["metadata"]["scrapbook"]["name"]
        for cell in cells
        for output in cell.get("outputs", ())
        if "scrapbook" in output.get("metadata", {})
    ]
    assert len(set(records)) == len(records)
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("*.md"))
    quoted = set(re.findall(r"reproduction_status\.ipynb::([\w-]+)", pages))
    assert quoted
    assert quoted <= set(records)
