"""Run the explorables' JavaScript in Node.js, on numbers from Python."""

import functools
import json
import shutil
import subprocess

import numpy as np
import pytest

from sbt_book.live.explorable import joined


def functions_of(main):
    """Return `run` for the functions of one file."""
    return functools.partial(run, main)


def run(main, expression, **data):
    """Return the value of a JavaScript expression in which the file's functions are known.

    The keyword arguments are known by their names; arrays arrive as nested arrays. Numbers pass
    as JSON, which keeps every bit of a double.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on the path: the JavaScript was not compared")
    sent = json.dumps(data, default=lambda each: np.asarray(each).tolist())
    script = (
        f"{joined(main)}\nconst {{ {', '.join(data)} }} = {sent};\n"
        f"process.stdout.write(JSON.stringify({expression}));"
    )
    command = [node, "--input-type=module"]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
