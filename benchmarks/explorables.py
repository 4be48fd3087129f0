"""How long the explorables' scripts take to answer a move of a slider, in Chromium.

`python benchmarks/explorables.py [FOLDER OF THE BUILT BOOK]`, after `make book`.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

MOVES = 40
SHOWN = """document.querySelectorAll('section.sbt').length
    === document.querySelectorAll('script[type$="widget-view+json"]').length"""
# All scripting that a move causes before the next frame (16.7 ms), and the layout it makes
# necessary. Every slider of an explorable, moved to and fro over its whole range.
MEASURE = """([frame, moves]) => [...frame.querySelectorAll("input[type=range]")].map(input => {
    const times = [];
    for (let move = 0; move < moves; move++) {
        const share = (1 + Math.sin(2.4 * move)) / 2;
        input.value = Number(input.min) + share * (input.max - input.min);
        const start = performance.now();
        input.dispatchEvent(new Event("input", { bubbles: true }));
        frame.getBoundingClientRect();
        times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    return [input.getAttribute("aria-label"), times[moves / 2], times[Math.floor(0.95 * moves)]];
})"""


def main(folder: Path) -> None:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for path in sorted((folder / "notebooks").glob("*.html")):
            page = browser.new_page()
            page.goto(path.resolve().as_uri(), wait_until="networkidle")
            page.wait_for_function(SHOWN)
            for frame in page.locator("section.sbt").element_handles():
                print(f"\n{frame.get_attribute('aria-label')} ({path.name})")
                print(f"{'slider':>24} {'median':>8} {'95 %':>8}   ms of scripting and layout")
                for name, median, high in page.evaluate(MEASURE, [frame, MOVES]):
                    print(f"{name:>24} {median:8.1f} {high:8.1f}")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html"))
