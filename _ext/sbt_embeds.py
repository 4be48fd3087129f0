"""Beside the chapters, a page for each of their explorables alone."""

from pathlib import Path

from sbt_book.live.embeds import EMBEDS, write_embed


def add_embeds(app, exception):
    """Write the pages of the explorables whose chapters are in the book."""
    if exception is not None or app.builder.name != "html":
        return
    for name, embed in EMBEDS.items():
        title = app.env.titles.get(embed.chapter)
        if title is not None:
            write_embed(Path(app.outdir, "embed"), name, title.astext(), app.config.html_title)


def setup(app):
    """Connect it: before the pages get their policies (500)."""
    app.connect("build-finished", add_embeds, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
