"""Time and memory of data separation; prints one JSON line.

At 2,560 samples in 10 classes: float32 features, statistics in float64 also in the textbook's way.
"""

import json
import platform
import sys
from functools import partial

import numpy as np
import torch
from timing import fresh, peak_gib, seconds

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


def shortest(function, *arguments):
    """Return the shortest time of the calls that fit into two seconds, at least one."""
    times = []
    while sum(times) < 2:
        times.append(seconds(partial(function, *arguments)))
    return min(times)


def wide(measure):
    """Return seconds and peak memory at 100,000 features, the features included."""
    elapsed = seconds(partial(data_separation, *problem(100_000), measure))
    return {"seconds": round(elapsed, 2), "peak_gib": peak_gib()}


def main():
    speedup, milliseconds = {}, {}
    for measure in MEASURES:
        speedup[measure], milliseconds[measure] = {}, {}
        for width in (100, 1000, 3000):
            arguments = (*problem(width), measure)
            if not np.isclose(data_separation(*arguments), textbook(*arguments), rtol=1e-8):
                raise SystemExit(f"{measure} at d = {width} differs from the textbook")
            ours = shortest(data_separation, *arguments)
            speedup[measure][width] = round(shortest(textbook, *arguments) / ours, 1)
            milliseconds[measure][width] = round(1e3 * ours, 2)
    result = {"speedup": speedup, "milliseconds": milliseconds}
    # Processes of their own: the peak of memory is one of a whole process.
    result["wide"] = {measure: fresh(__file__, measure) for measure in MEASURES}
    result |= {"machine": platform.machine(), "threads": torch.get_num_threads()}
    print(json.dumps(result | {"torch": torch.__version__}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(wide(sys.argv[1])))
    else:
        main()
