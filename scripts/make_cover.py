"""Draw the picture of the README and the landing page from the committed results."""

from pathlib import Path

import xarray as xr

from sbt_utils.cell_figures import diagram_excerpt
from sbt_utils.published import published_diagram
from sbt_utils.results import RESULTS

ours = xr.load_dataset(RESULTS / "dropout_excerpt.nc", engine="h5netcdf")
figure = diagram_excerpt(ours, published_diagram("dropout"))
figure.savefig(Path(__file__).parents[1] / "book" / "images" / "load_curves.png", dpi=130)
