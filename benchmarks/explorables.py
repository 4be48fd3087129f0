"""How long the explorables take to answer a move of a slider, in Chromium; prints JSON lines.

`python benchmarks/explorables.py [FOLDER OF THE BUILT BOOK]`, after `make book`: for each slider
the median and the 95 % point over `MOVES` moves, of the processor and on the clock, which others
that use the machine disturb more. Sliders are moved again with every checkbox turned over. Without
the book or a browser it says so.
"""

import json
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

MOVES = 60
FRAME = 1000 / 60  # milliseconds
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SHOWN = """document.querySelectorAll('section.sbt').length
    === document.querySelectorAll('script[type$="widget-view+json"]').length"""
# All that a move causes before the next frame: scripting, and the layout it makes necessary.
SPENT = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
MOVE = """([frame, input, share]) => {
    input.value = Number(input.min) + share * (input.max - input.min);
    const start = performance.now();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    frame.getBoundingClientRect();
    return performance.now() - start;
}"""


def moved(page, frame, slider) -> dict:
    """Move a slider to and fro over its whole range; return the times of a move."""
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = {m["name"]: m["value"] for m in browser.send("Performance.getMetrics")["metrics"]}
        return 1000 * sum(metrics[name] for name in SPENT)

    times: dict[str, list[float]] = {"processor": [], "clock": []}
    for move in range(MOVES):
        before = spent()
        share = (1 + math.sin(2.4 * move)) / 2
        times["clock"].append(page.evaluate(MOVE, [frame, slider, share]))
        times["processor"].append(spent() - before)
    browser.detach()
    found = {}
    for name, values in times.items():
        values.sort()
        found[f"{name}_ms"] = round(values[MOVES // 2], 1)
        found[f"{name}_high_ms"] = round(values[int(0.95 * MOVES)], 1)
    return found | {"of_a_frame": round(found["processor_high_ms"] / FRAME, 2)}


def explorables(folder: Path) -> Iterator[dict]:
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for path in sorted((folder / "notebooks").glob("*.html")):
            page = browser.new_page(bypass_csp=True)  # the pages' policy allows no measuring
            page.goto(path.resolve().as_uri(), wait_until="networkidle")
            page.wait_for_function(SHOWN)
            for frame in page.query_selector_all("section.sbt"):
                boxes = frame.query_selector_all("input[type=checkbox]")
                for turned in (False, True)[: 1 + bool(boxes)]:
                    for box in boxes if turned else []:
                        box.click()
                    for slider in frame.query_selector_all("input[type=range]"):
                        names = {
                            "question": frame.get_attribute("aria-label"),
                            "slider": slider.get_attribute("aria-label"),
                        }
                        yield names | {"turned": turned} | moved(page, frame, slider)
            page.close()
        browser.close()


def main(folder: Path) -> None:
    if sync_playwright is None or shutil.which("chromium") is None:
        print(json.dumps({"question": "pages", "skipped": "playwright or Chromium is missing"}))
    elif not (folder / "notebooks").exists():
        print(json.dumps({"question": "pages", "skipped": f"no book in {folder}: run `make book`"}))
    else:
        for line in explorables(folder):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html"))
