"""Run the benchmarks and print one Markdown table of their ratios (`make bench`).

Each prints JSON lines, whose figures `AIMS` picks: the worst of all that an aim applies to. Names
of benchmarks on the command line choose among them; ``kept FOLDER`` keeps their lines there, and
what is there is not run again. A quiet machine takes about half an hour.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUESTIONS = {"spring_block": ["numba_rivals"]}
"""Of a benchmark that answers many, those asked; of others all."""
TOLD = ("question", "slider", "best_rival", "batch", "threads", "pixels", "classes")
"""What of a line is told beside its figure."""


@dataclass(frozen=True)
class Aim:
    """A figure of a benchmark, by the keys that lead to it, and what it is to be.

    `where` chooses lines by what they hold; `at_least` or `at_most` is the bound, if there is one.
    """

    benchmark: str
    what: str
    keys: str
    where: dict[str, Any] = field(default_factory=dict)
    at_least: float | None = None
    at_most: float | None = None

    def row(self, lines: list[dict]) -> str:
        """Return a row of the table: the worst figure, where it was found, the aim."""
        found = [
            (value, line)
            for line in lines
            if self.where.items() <= line.items()
            and (value := at(line, self.keys.split("."))) is not None
        ]
        if not found:
            return f"| {self.what} | not measured | {self.aim} | |"
        values = [value for value, _ in found]
        value = min(values) if self.at_least is not None else max(values)
        _, line = found[values.index(value)]
        low, high = self.at_least, self.at_most
        met = (low is None or value >= low) and (high is None or value <= high)
        verdict = "" if low is high is None else "yes" if met else "no"
        told = [f"{key} {line[key]}" for key in TOLD if key in line and key not in self.where]
        said = f"{value:g}" + (f" ({', '.join(told)})" if told else "")
        return f"| {self.what} | {said} | {self.aim} | {verdict} |"

    @property
    def aim(self) -> str:
        """The bound in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"


def at(line: dict, keys: list[str]) -> Any:
    """Return what keys lead to in nested dictionaries, or nothing."""
    for key in keys:
        line = line.get(key) if isinstance(line, dict) else None
    return line


def start_up() -> Iterator[Aim]:
    for name, cold in (("train", 2.5), ("chain", 1.0)):
        where = {"question": name}
        yield Aim("startup", f"first {name}: seconds of compiling", "compiling", where, None, cold)
    for name in ("train", "chain", "load_curve", "report"):
        where = {"question": name}
        yield Aim("startup", f"first {name}, kernels kept: seconds", "warm", where, None, 0.7)
    yield Aim("startup", "`--help`: seconds", "seconds", {"question": "help"}, None, 0.5)


def training() -> Iterator[Aim]:
    for threads in (1, 2):
        said = f"on {threads} thread{'s' * (threads > 1)}"
        for batch in (2560, 320, 20):
            where = {"question": "rivals", "threads": threads, "batch": batch}
            what = f"best rival's time over ours, {batch} images a batch, {said}"
            yield Aim("training", what, "best", where, 1.0)
        where = {"question": "rivals", "threads": threads, "batch": 2560}
        yield Aim("training", f"share of sgemm, full batch, {said}", "share_of_sgemm", where, 0.5)
        where = {"question": "wide", "threads": threads}
        yield Aim("training", f"one network of width 800: plain, {said}", "plain", where, 1.0)
    where = {"question": "many_threads"}
    yield Aim("training", "2 to 16 threads over one", "over_one_thread", where, None, 1.0)


def others() -> Iterator[Aim]:
    where = {"generator": "numba's own"}
    chain = ("spring_block", "a trajectory over a plain numba loop")
    yield Aim(chain[0], f"{chain[1]}, alone", "of its time.alone", where, None, 1.2)
    yield Aim(chain[0], f"{chain[1]}, of 1,000", "of its time.in_1000", where, None, 0.5)
    curve = "`load_curve` over the forward pass of whole batches, 1,000 images"
    yield Aim("separation", curve, "load_curve.1000.whole", {}, None, 2.0)
    both = "data separation, 60,000 samples: two threads sooner than one"
    yield Aim("separation", both, "threads.2")
    read = "reading ten MLPs every ten epochs, share of training"
    yield Aim("steering", read, "mlp_recorded", {}, None, 0.03)
    for kind in ("mlp", "transformer", "residual"):
        what = f"report of {kind} over its forward pass"
        yield Aim("report", what, "processor_ratio", {"kind": kind})
    pages = "95 % point of a slider, share of a frame"
    yield Aim("explorables", pages, "of_a_frame", {"turned": False}, None, 1.0)


AIMS = (*start_up(), *training(), *others())


def lines_of(benchmark: str, kept: Path | None) -> list[dict]:
    """Return the lines that a benchmark prints, or printed; of a list of cases one for each."""
    file = None if kept is None else kept / f"{benchmark}.jsonl"
    if file is not None and file.exists():
        text = file.read_text(encoding="utf-8")
    else:
        print(f"{benchmark} ...", file=sys.stderr, flush=True)
        command = [sys.executable, str(HERE / f"{benchmark}.py"), *QUESTIONS.get(benchmark, [])]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        if "skipped" in line:
            print(f"{benchmark}: {line['skipped']}", file=sys.stderr)
    return [case for line in lines for case in line.get("cases", [line])]


def processor() -> str:
    """Return the name of this machine's processor."""
    names = Path("/proc/cpuinfo")
    text = names.read_text(encoding="utf-8") if names.exists() else ""
    found = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return f"{len(found)} cores of {found[0]}" if found else platform.processor()


def main(words: list[str]) -> None:
    kept = Path(words[1]) if words[:1] == ["kept"] else None
    chosen = words[2:] if kept else words
    benchmarks = list(dict.fromkeys(aim.benchmark for aim in AIMS))
    lines = {name: lines_of(name, kept) for name in benchmarks if name in chosen or not chosen}
    print(f"| {processor()} | measured | aim | met |\n|---|---|---|---|")
    for aim in AIMS:
        if aim.benchmark in lines:
            print(aim.row(lines[aim.benchmark]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
