"""A sweep that is disturbed at random for a minute; for longer, call the script itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from strict_json import strict

SCRIPT = Path(__file__).parents[3] / "scripts" / "stress_sweep.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "setpgrp"), reason="needs the signals of POSIX")
def test_a_sweep_disturbed_for_a_minute_ends_the_same():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "60"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    counts = strict(done.stdout)
    assert counts["compared"] >= 1
    assert sum(counts.values()) >= 5
