"""Draw the picture of the README and the landing page from the committed results."""

from pathlib import Path

from sbt_book.common.committed import RESULTS
from sbt_book.phase_diagram.cell_figures import diagram_excerpt
from sbt_book.phase_diagram.published import published_diagram
from sbt_utils.results import load

published = published_diagram("dropout")
rows = {"slope": [0.0, 0.2, 0.6, 1.0], "noise": published.noise}
figure = diagram_excerpt(load(RESULTS / "dropout.nc").sel(rows), published)
figure.savefig(Path(__file__).parents[1] / "book" / "images" / "load_curves.png", dpi=130)
