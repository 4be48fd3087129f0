"""A page for each explorable alone, to be shown in a frame or on a slide."""

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from sbt_book.live.chain import ChainExplorable
from sbt_book.live.explorable import PAGES, Explorable, classic
from sbt_book.live.language import LanguageExplorable
from sbt_book.live.phase_diagram import PhaseDiagramExplorable
from sbt_book.live.ruler import RulerExplorable
from sbt_book.live.training import TrainingExplorable


class Embed(NamedTuple):
    """An explorable, its title, and the chapter that it comes from."""

    kind: type[Explorable]
    title: str
    chapter: str
    worker: bool = False
    """Whether it computes in a worker that it makes itself."""


EMBEDS = {
    "chain": Embed(ChainExplorable, "Spring-block chain", "notebooks/03_spring_block_chain"),
    "ruler": Embed(RulerExplorable, "Folding ruler", "notebooks/02_folding_ruler"),
    "phase_diagram": Embed(PhaseDiagramExplorable, "Phase diagram", "notebooks/04_phase_diagram"),
    "training": Embed(TrainingExplorable, "Live training", "notebooks/05_training_in_time", True),
    "language": Embed(
        LanguageExplorable, "A sentence in a language model", "notebooks/11_language_models"
    ),
}
"""Explorables by their names in addresses."""

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en" data-book="../" data-embed$worker>
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="description" content="$words" />
    <title>$title, live</title>
    <link rel="icon" href="../_static/favicon.svg" />
    <link rel="stylesheet" href="$name.css" />
  </head>
  <body>
    <main>
      <div data-explorable="$name"></div>
      <noscript>
        <p>With scripts, this picture is live. $words</p>
        <img src="$name.png" alt="$words" />
      </noscript>
    </main>
    <footer>
      <a href="../$chapter.html" target="_blank">$chapter_title</a>, a chapter of
      <a href="../index.html" target="_blank">$book</a>
    </footer>
    <script type="application/json" id="$name-traits">$traits</script>
    <script src="$name.js"></script>
  </body>
</html>
"""
)


def write_embed(folder: Path, name: str, chapter_title: str, book: str) -> None:
    """Write the page of one of `EMBEDS` and its files into a folder beside those of the chapters.

    Settings and what is hidden come from the page's address; see `pages/shared/standalone.js`.
    """
    kind, title, chapter, worker = EMBEDS[name]
    explorable = kind()
    text = {
        "title": title,
        "words": explorable.words,
        "chapter_title": chapter_title,
        "book": book,
    }
    page = _PAGE.substitute(
        {key: escape(value) for key, value in text.items()},
        name=name,
        chapter=chapter,
        worker=" data-worker" if worker else "",
        traits=packed_traits(explorable, kind),
    )
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.html").write_text(page, encoding="utf-8")
    script = classic(
        "shared/standalone.js", f"{name}/{name}.js", last=f'standalone(explorable, "{name}");'
    )
    (folder / f"{name}.js").write_text(script, encoding="utf-8")
    alone = (PAGES / "shared/standalone.css").read_text(encoding="utf-8")
    (folder / f"{name}.css").write_text(f"{kind._css}\n{alone}", encoding="utf-8")
    explorable.still().savefig(folder / f"{name}.png")


def packed_traits(explorable: Explorable, kind: type[Explorable]) -> str:
    """Return the traits of an explorable that its page shares with Python, as JSON for a page."""
    names = set(kind.class_trait_names(sync=True)) - set(Explorable.class_trait_names(sync=True))
    state: Mapping[str, Any] = explorable.get_state(names)
    text = json.dumps(state, default=_encoded, sort_keys=True, separators=(",", ":"))
    return text.replace("<", r"\u003c")  # nothing in it may end the element


def _encoded(value: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(value).decode()}
