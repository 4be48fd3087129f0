"""Time and memory of data separation; prints one JSON line.

``speedup`` holds the time of the textbook d x d computation over ours, by measure and number of
features d, at 2,560 samples in 10 classes (float32 features, float64 statistics in both);
``wide`` the seconds and the peak resident memory in GiB, features included, at d = 100,000.
"""

import json
import platform
import resource
import subprocess
import sys
import time

import numpy as np
import torch

from sbt_utils.measuring import MEASURES, data_separation

SAMPLES, CLASSES = 2560, 10


def problem(width):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(SAMPLES) % CLASSES
    features = torch.randn(SAMPLES, width, generator=generator)
    features[:, :CLASSES] += torch.nn.functional.one_hot(labels, CLASSES)
    return features, labels


def textbook(features, labels, measure):
    """Form both d x d matrices, class by class, as the definitions read."""
    h, y = features.numpy().astype(np.float64), labels.numpy()
    m = h.mean(0)
    within = between = np.zeros((h.shape[1], h.shape[1]))
    for c in np.unique(y):
        members = h[y == c]
        m_c = members.mean(0)
        within = within + (members - m_c).T @ (members - m_c) / len(h)
        between = between + len(members) / len(h) * np.outer(m_c - m, m_c - m)
    if measure == "trace":
        return np.log(np.trace(within) / np.trace(between))
    return np.log(np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)))


def seconds(function, *arguments, budget=2.0):
    """Return the shortest time of the calls that fit into the budget, after a first one."""
    start = time.perf_counter()
    function(*arguments)
    times = [time.perf_counter() - start]
    while sum(times) < budget:
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def wide(measure, width=100_000):
    features, labels = problem(width)
    start = time.perf_counter()
    data_separation(features, labels, measure)
    elapsed = time.perf_counter() - start
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"seconds": round(elapsed, 2), "peak_gib": round(peak, 2)}


def main():
    speedup, milliseconds = {}, {}
    for measure in MEASURES:
        speedup[measure], milliseconds[measure] = {}, {}
        for width in (100, 1000, 3000):
            arguments = (*problem(width), measure)
            if not np.isclose(data_separation(*arguments), textbook(*arguments), rtol=1e-8):
                raise SystemExit(f"{measure} at d = {width} differs from the textbook")
            ours = seconds(data_separation, *arguments)
            speedup[measure][width] = round(seconds(textbook, *arguments) / ours, 1)
            milliseconds[measure][width] = round(1e3 * ours, 2)
    result = {"speedup": speedup, "milliseconds": milliseconds, "wide": {}}
    for measure in MEASURES:
        # A process of its own: the peak of memory is one of a whole process.
        command = [sys.executable, __file__, measure]
        child = subprocess.run(command, check=True, capture_output=True, text=True)
        result["wide"][measure] = json.loads(child.stdout)
    result |= {"machine": platform.machine(), "threads": torch.get_num_threads()}
    print(json.dumps(result | {"torch": torch.__version__}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(wide(sys.argv[1])))
    else:
        main()
