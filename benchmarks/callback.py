"""Processor time of a training with `sbt.LoadCurveCallback` over one without; prints JSON lines.

At its default interval, in turn, each training of so many seconds of processor time as the command
line says (60 by default), with pictures encoded as TensorBoard's writer does it. Also the processor
time within the calls over the rest of the same training, which others that use the machine disturb
less. Only the networks named behind the seconds are trained, or all.
"""

import io
import json
import platform
import sys
import time

import torch
from PIL import Image
from torch import nn

import sbt_utils as sbt


class Writer:
    """Encodes what it gets, as TensorBoard's writer does, and keeps the number of bytes."""

    def __init__(self):
        self.bytes = 0

    def add_scalar(self, name, value, step):  # noqa: D102
        self.bytes += len(f"{name}{value}{step}")

    def add_image(self, name, image, step, dataformats):  # noqa: D102
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="png")
        self.bytes += len(file.getvalue())

    def flush(self):  # noqa: D102
        pass


class Sentences(nn.Module):
    """A transformer of four blocks that classifies sequences of 32 tokens."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 64)
        block = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, tokens):  # noqa: D102
        return self.head(self.blocks(self.embedding(tokens)).mean(1))


def sentences():
    labels = torch.arange(4000) % 10
    tokens = torch.randint(1000, (4000, 32), generator=torch.Generator().manual_seed(0))
    tokens[:, ::4] = 100 * labels[:, None] + tokens[:, ::4] % 100
    return Sentences, tokens, labels


def digits():
    data = sbt.load_data("mnist", train=4000, test=10)
    images, labels = torch.as_tensor(data.train_images), torch.as_tensor(data.train_labels)
    return lambda: sbt.MLP(images[0].numel(), 100, 7), images, labels


def images():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4000) % 10
    pictures = torch.randn(4000, 3, 10, 10, generator=generator)
    pictures += torch.randn(10, 3, 10, 10, generator=generator)[labels]
    return lambda: sbt.CNN(3, 10, 20), pictures, labels


def trained(make, inputs, labels, steps, watched):
    """Return processor seconds of a training, those within the callback, and its readings."""
    torch.manual_seed(0)
    model = make().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = torch.randint(len(labels), (steps, 64))
    watch = sbt.LoadCurveCallback((inputs, labels), log_to=Writer()) if watched else None
    inside = 0.0
    start = time.process_time()
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        optimizer.step()
        if watch is not None:
            before = time.process_time()
            watch(model, step)
            inside += time.process_time() - before
    return time.process_time() - start, inside, [] if watch is None else watch.readings


def compare(problem, seconds):
    """Return the cost of watching the training of a network."""
    make, inputs, labels = problem()
    trained(make, inputs, labels, 10, False)  # the first steps are slow
    steps = int(50 * seconds / trained(make, inputs, labels, 50, False)[0])
    plain = trained(make, inputs, labels, steps, False)[0]
    watched, inside, readings = trained(make, inputs, labels, steps, True)
    return {
        "steps": steps,
        "seconds": round(plain, 2),
        "readings": [reading.step for reading in readings],
        "seconds_a_reading": round(inside / len(readings), 3),
        "with_over_without": round(watched / plain, 4),
        "within_over_rest": round(inside / (watched - inside), 4),
    }


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    problems = {"digits": digits, "images": images, "sentences": sentences}
    machine = {"machine": platform.machine(), "threads": torch.get_num_threads()}
    for name in sys.argv[2:] or problems:
        cost = compare(problems[name], seconds) | machine | {"torch": torch.__version__}
        print(json.dumps({"network": name} | cost), flush=True)


if __name__ == "__main__":
    main()
