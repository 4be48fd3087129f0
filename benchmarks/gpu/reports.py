"""Part 5 of the GPU command: what measuring large models costs over their forward pass.

A residual network of the size of ResNet-50 and a transformer of the size of ViT-B/16, both built
here so that they are the same everywhere, with random weights and images in ten classes. PyTorch's
own defaults of precision hold, which allow TF32 in convolutions.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from speed import median
from torch import Tensor, nn

from sbt_utils.measuring.probe import load_curve
from sbt_utils.reporting.stress_map import report

CLASSES = 10


class Bottleneck(nn.Module):
    """Three convolutions and a skip connection."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.one = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.two = nn.Sequential(
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.three = nn.Sequential(
            nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.short = nn.Sequential()
        if stride > 1 or inputs != outputs:
            short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.short = nn.Sequential(short, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        h = self.two(self.one(x).relu()).relu()
        return (self.three(h) + self.short(x)).relu()


def residual_network(blocks: tuple[int, ...] = (3, 4, 6, 3), width: int = 64) -> nn.Sequential:
    """Return a residual network; by default of the sizes of ResNet-50, with 1,000 outputs."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(Bottleneck(inputs, width * 2**stage, stride))
            inputs = 4 * width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class Transformer(nn.Module):
    """An image in patches, a class token, layers of attention; by default as ViT-B/16."""

    def __init__(
        self, size: int = 224, patch: int = 16, width: int = 768, depth: int = 12, heads: int = 12
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2 + 1, width))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(h), -1, -1), h], 1) + self.places
        return self.head(self.norm(self.layers(h))[:, 0])


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    makers: dict[str, Callable[[], nn.Module]] = {
        "residual network": residual_network,
        "transformer": Transformer,
    }
    images, size, batch = 1024, 224, 128
    if options.profile == "smoke":
        makers["residual network"] = partial(residual_network, (1, 1), 8)
        makers["transformer"] = partial(Transformer, 16, 8, 16, 2, 2)
        images, size, batch = 40, 16, 20
    for name, make in makers.items():
        yield name, partial(cost, make, (images, 3, size, size), batch, options.device)


def cost(
    make: Callable[[], nn.Module], shape: tuple[int, ...], batch: int, device: str
) -> dict[str, Any]:
    """Time the forward pass over images alone, with a load curve, and with a report."""
    torch.manual_seed(0)
    model = make().to(device).eval()
    labels = torch.arange(shape[0], device=device) % CLASSES
    images = torch.randn(shape, device=device) + torch.randn(CLASSES, *shape[1:]).to(device)[labels]

    @torch.no_grad()
    def forward() -> None:
        for part in images.split(batch):
            model(part)

    settings = {"batch_size": batch}
    times = {
        "forward": median(forward, device),
        "load_curve": median(lambda: load_curve(model, (images, labels), **settings), device),
        "report": median(lambda: report(model, (images, labels), **settings), device),
    }
    result: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "images": shape[0],
        "layers": len(load_curve(model, (images, labels), **settings).layers) - 1,
        "seconds": times,
        "load_curve_over_forward": times["load_curve"] / times["forward"],
        "report_over_forward": times["report"] / times["forward"],
    }
    if device != "cpu":
        result["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return result
