"""What the reproduction status finds of the diagrams that a GPU trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from sbt_book.common.noise_axes import NOISES
from sbt_book.phase_diagram.devices import apart, diagram_of
from sbt_book.status.verdicts import LIMITS, Finding


def gpu_findings(gpu: xr.Dataset, diagrams: Mapping[str, xr.Dataset]) -> list[Finding]:
    """Judge whether the networks of a GPU differ from those of a CPU by more than seeds do.

    `gpu` is ``results/gpu.nc``, `diagrams` are those of the CPU by their source of noise. For each
    diagram and quantity of `sbt_book.phase_diagram.devices.apart` the distance, which is accepted
    up to the largest of 999 random divisions of the same networks; and for each quantity the shift
    over all diagrams, in standard deviations of the seeds.
    """
    findings, compared = [], {s: apart(diagram_of(gpu, s), d) for s, d in diagrams.items()}
    for source, rows in compared.items():
        for name in rows.quantity.values:
            row = rows.sel(quantity=name)
            what = f"{NOISES[source].label}: {name}, distance of the cells' means"
            chance = round(row.by_chance.item(), 2)
            findings.append(
                Finding(what, row.distance.item(), most=chance, digits=".2f", about="theory")
            )
    together = xr.concat(list(compared.values()), "source")
    cells = together.cells.sum("source")
    shift = (together.cells * together["shift"]).sum("source") / cells
    error = np.sqrt(((together.cells * together.shift_error) ** 2).sum("source")) / cells
    limit: Any = {"least": -LIMITS["shift"], "most": LIMITS["shift"], "about": "theory"}
    for name in shift.quantity.values:
        found = [values.sel(quantity=name).item() for values in (shift, error)]
        findings.append(Finding(f"all diagrams: {name}, mean shift", *found, **limit))
    return findings
