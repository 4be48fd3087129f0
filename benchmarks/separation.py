"""Time and memory of data separation; prints one JSON line.

At 2,560 samples in 10 classes: float32 features, statistics in float64 also in the textbook's way.
``threads`` is the time on one thread over that on all, of 60,000 samples of width 1,000, and
``load_curve`` its processor time over that of a forward pass, of the published perceptron on one
thread: the forward pass of all images at once, and in the batches in which `load_curve` takes them.
"""

import json
import platform
import sys
import time
from functools import partial

import numpy as np
import torch
from timing import fresh, peak_gib, seconds

from sbt_utils.data import load_data
from sbt_utils.measuring import MEASURES, data_separation, load_curve
from sbt_utils.training.networks import MLP

SAMPLES, CLASSES = 2560, 10


def problem(width, samples=SAMPLES):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % CLASSES
    features = torch.randn(samples, width, generator=generator)
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


def threads():
    """Return how many times sooner all threads are done than one; their bits are the same."""
    all_threads, arguments, times, found = torch.get_num_threads(), problem(1000, 60_000), [], set()
    for number in (1, all_threads):
        torch.set_num_threads(number)
        found.add(data_separation(*arguments))
        times.append(shortest(data_separation, *arguments))
    if len(found) > 1:
        raise SystemExit("data separation depends on the number of threads")
    return round(times[0] / times[1], 2)


def curves(samples, rounds=100):
    """Return the processor time of `load_curve` over that of forward passes, by their batches."""
    digits, network = load_data("mnist", train=samples), MLP().eval()
    images, labels = digits.train_images, digits.train_labels

    @torch.no_grad()
    def forward(size):
        for batch in images.split(size):
            network(batch)

    ways = {
        "load_curve": partial(load_curve, network, images, labels),
        "whole": partial(forward, samples),
        "batches": partial(forward, 512),
    }
    least = dict.fromkeys(ways, np.inf)
    for _ in range(rounds):  # in turn, so that all meet with the same disturbances
        for name, run in ways.items():
            start = time.thread_time()
            run()
            least[name] = min(least[name], time.thread_time() - start)
    ours = least.pop("load_curve")
    return {name: round(ours / spent, 2) for name, spent in least.items()}


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
    result |= {"machine": platform.machine(), "torch": torch.__version__}
    result |= {"threads": {torch.get_num_threads(): threads()}}
    torch.set_num_threads(1)
    print(json.dumps(result | {"load_curve": {n: curves(n) for n in (1000, SAMPLES)}}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(wide(sys.argv[1])))
    else:
        main()
