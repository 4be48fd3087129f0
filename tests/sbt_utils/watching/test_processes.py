"""Where several processes train one network, the first one measures and none waits for another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_training import network, problem
from torch import nn

from sbt_utils.watching.callback import LoadCurveCallback

ROOT = Path(__file__).parents[3]


def train(rank, folder, how):
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(f"{folder}/store", 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    images, labels = problem(images=80)
    torch.manual_seed(0)
    model = network(batch_norm=False)
    if how == "replicated":
        model = nn.parallel.DistributedDataParallel(model)
    else:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = LoadCurveCallback((images, labels), every=2)
    for step in range(5):
        part = slice(40 * rank, 40 * rank + 40)
        nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
        optimizer.step()
        optimizer.zero_grad()
        watch(model, step)
    said = [(reading.step, reading.problem, reading.fall) for reading in watch.readings]
    with open(f"{folder}/{rank}.json", "w", encoding="utf-8") as file:
        json.dump(said, file)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo's store of files is of Unix")
@pytest.mark.parametrize("how", ["replicated", "sharded"])
def test_the_first_process_measures_what_it_can(how, tmp_path):
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    command = [sys.executable, __file__, str(tmp_path), how]
    paths = [str(ROOT), str(ROOT / "tests/helpers"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    processes = [subprocess.Popen([*command, rank], env=environment) for rank in "01"]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    first, second = (
        json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)
    )
    assert second == []
    assert [step for step, _, _ in first] == [0, 2, 4]
    problems = {problem for _, problem, _ in first}
    if how == "replicated":
        assert problems == {""}
    else:
        (text,) = problems
        assert text.startswith("model: its parameters are spread over several processes")


if __name__ == "__main__":
    train(int(sys.argv[3]), *sys.argv[1:3])
