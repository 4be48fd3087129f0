"""Cost of a report beside the plain forward pass over the same images; prints one JSON line.

Over kinds of network, sizes of image in pixels and numbers of classes: how many times as long as
the forward pass a report takes, as processor time and on the clock, and how many GiB more at its
peak. Each case runs in two processes of its own. ``all`` adds the cases that take minutes, and
``KIND SIZE CLASSES`` measures one.
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

BATCH = {"mlp": 512, "residual": 64, "transformer": 64}
IMAGES = {"mlp": 4096, "residual": 512, "transformer": 512}  # at least two of each class
QUICK = [("mlp", 28, 10), ("mlp", 28, 1000), ("transformer", 64, 100), ("residual", 64, 10)]
QUICK += [("residual", 64, 100), ("residual", 224, 1000)]
SLOW = [("mlp", 28, 100), ("transformer", 64, 1000), ("transformer", 224, 1000)]
SLOW += [("residual", 64, 1000), ("residual", 224, 10), ("residual", 224, 100)]


class Block(nn.Module):
    """Two convolutions and a skip connection, as in ResNet-18."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.short = nn.Sequential()
        if stride > 1:
            self.short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):  # noqa: D102
        h = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(h)) + self.short(x))


def residual_network(size, classes):
    """Return a network with the sizes and the cost of ResNet-18."""
    widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
    blocks = [Block(one, two, 2 if two > one else 1) for one, two in pairwise(widths)]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, *head)


def transformer(size, classes):
    """Return a vision transformer of six layers, with patches of 16 x 16 pixels."""
    layer = nn.TransformerEncoderLayer(192, 3, 768, 0.0, "gelu", batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    patches = nn.Sequential(nn.Conv2d(3, 192, 16, 16), nn.Flatten(2))
    return nn.Sequential(patches, Transposed(), encoder, Mean(), nn.Linear(192, classes))


class Transposed(nn.Module):  # noqa: D101
    def forward(self, x):  # noqa: D102
        return x.mT


class Mean(nn.Module):  # noqa: D101
    def forward(self, x):  # noqa: D102
        return x.mean(1)


def perceptron(size, classes):
    return nn.Sequential(nn.Flatten(), MLP(3 * size**2, 1150, 8, classes))


KINDS = {"mlp": perceptron, "residual": residual_network, "transformer": transformer}


class Images:
    """Batches of noise that depends on the class, in turn one image of each class."""

    def __init__(self, size, classes, batch, images):
        generator = torch.Generator().manual_seed(0)
        self.noise = torch.randn(batch, 3, size, size, generator=generator)
        self.templates = torch.randn(classes, 3, 1, size, generator=generator)
        self.labels = torch.arange(max(images, 2 * classes)) % classes

    def __iter__(self):
        for labels in self.labels.split(len(self.noise)):
            noise = self.noise[: len(labels)].roll(int(labels[0]), -1)
            yield noise + 0.5 * self.templates[labels], labels


def cost(what, kind, size, classes):
    """Return seconds on the clock and of the processor, and the peak memory, of one of the two."""
    torch.manual_seed(0)
    model = KINDS[kind](size, classes).eval()
    images = Images(size, classes, BATCH[kind], IMAGES[kind])
    tiny = torch.randn(20, 3, 32, 32)
    # What is loaded or compiled on the first call is not the cost of a report.
    report(nn.Sequential(nn.Flatten(), nn.Linear(3072, 300), nn.ReLU()), tiny, torch.arange(20) % 2)
    with torch.no_grad():
        model(next(iter(images))[0])
        start = time.perf_counter(), time.process_time()
        if what == "report":
            report(model, images)
        else:
            for batch, _ in images:
                model(batch)
    return {
        "seconds": time.perf_counter() - start[0],
        "processor": time.process_time() - start[1],
        "peak_gib": peak_gib(),
    }


def compare(kind, size, classes):
    words = (kind, str(size), str(classes))
    # The forward pass before and after, since others may use the machine as well.
    first, mapped, last = (fresh(__file__, what, *words) for what in ("pass", "report", "pass"))
    forward = {name: min(first[name], last[name]) for name in first}
    return {
        "kind": kind,
        "pixels": size,
        "classes": classes,
        "forward_seconds": round(forward["seconds"], 2),
        "ratio": round(mapped["seconds"] / forward["seconds"], 2),
        "processor_ratio": round(mapped["processor"] / forward["processor"], 2),
        "more_gib": round(mapped["peak_gib"] - forward["peak_gib"], 2),
    }


def main(words):
    cases = QUICK + SLOW if words == ["all"] else QUICK
    if len(words) == 3:
        cases = [(words[0], int(words[1]), int(words[2]))]
    result = {"cases": [compare(*case) for case in cases], "machine": platform.machine()}
    print(json.dumps(result | {"threads": torch.get_num_threads(), "torch": torch.__version__}))


if __name__ == "__main__":
    if len(sys.argv) == 5:
        what, kind, *numbers = sys.argv[1:]
        print(json.dumps(cost(what, kind, *map(int, numbers))))
    else:
        main(sys.argv[1:])
