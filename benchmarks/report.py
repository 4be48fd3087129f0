"""Time of a report against the plain forward pass over the same images; prints one JSON line.

For networks of about 10 million parameters: a multilayer perceptron and a residual network.
"""

import json
import platform
import sys
import time
from itertools import pairwise

import torch
from timing import fresh, peak_gib
from torch import nn

from sbt_utils.reporting import report
from sbt_utils.training.networks import MLP

IMAGES, CLASSES, BATCH = 2560, 10, 512


class Block(nn.Module):
    """Two convolutions and a skip connection."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):  # noqa: D102
        h = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(h)) + self.short(x))


def residual_network():
    widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
    blocks = [Block(one, two, 2 if two > one else 1) for one, two in pairwise(widths)]
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES)
    )


MODELS = {  # how to make it, the shape of its images, and how often to time it
    "mlp": (lambda: MLP(784, 1150, 8, CLASSES), (1, 28, 28), 10),
    "residual": (residual_network, (3, 16, 16), 3),
}


def problem(shape):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    images = torch.randn(IMAGES, *shape, generator=generator)
    return images + 0.5 * torch.randn(CLASSES, *shape, generator=generator)[labels], labels


def seconds(function):
    """Return wall time and processor time."""
    start = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def compare(name):
    make, shape, repeats = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    images, labels = problem(shape)

    @torch.no_grad()
    def forward():
        for batch in images.split(BATCH):
            model(batch)

    def mapped():
        report(model, (images, labels), batch_size=BATCH)

    # In turn, and the shortest count: others may use the machine as well. The ratio of processor
    # times is for a machine that is too busy for anything else.
    times = [(*seconds(forward), *seconds(mapped)) for _ in range(1 + repeats)][1:]
    forward, forward_processor, mapped, mapped_processor = map(min, zip(*times, strict=True))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "forward_seconds": round(forward, 3),
        "report_seconds": round(mapped, 3),
        "ratio": round(mapped / forward, 2),
        "processor_ratio": round(mapped_processor / forward_processor, 2),
    }


def wide():
    """Return seconds and peak memory of a report on a layer of 100,000 features."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 100_000), nn.ReLU(), nn.Linear(100_000, 20), nn.ReLU())
    images, labels = problem((20,))
    elapsed, _ = seconds(lambda: report(model, (images, labels), batch_size=64))
    return {"seconds": round(elapsed, 2), "peak_gib": peak_gib()}


def main():
    # A process of its own, before this one has grown: the peak of memory is one of a whole process
    # and begins at that of its parent.
    result = {"wide": fresh(__file__, "wide")} | {name: compare(name) for name in MODELS}
    result |= {"machine": platform.machine(), "threads": torch.get_num_threads()}
    print(json.dumps(result | {"torch": torch.__version__}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(wide()))
    else:
        main()
