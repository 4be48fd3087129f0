"""Explorables alone: their pages hold what Python has, and what is asked of them is harmless."""

import base64
import json
import random
import re

import pytest
from node import functions_of

from sbt_book.live.embeds import EMBEDS, packed_traits, write_embed
from sbt_book.live.explorable import PAGES, classic

run = functions_of("shared/standalone.js")


def test_a_page_has_the_traits_of_a_new_explorable(tmp_path):
    write_embed(tmp_path / "embed", "chain", "Chains & <springs>", "The book")
    page = (tmp_path / "embed/chain.html").read_text(encoding="utf-8")
    text = re.search('<script type="application/json" id="chain-traits">(.*)</script>', page)[1]
    explorable = EMBEDS["chain"].kind()
    traits = json.loads(text)
    assert traits == {name: getattr(explorable, name) for name in traits}
    assert {"friction_right", "noise", "positions", "seed"} <= set(traits)
    assert "Chains &amp; &lt;springs&gt;</a>" in page
    assert {path.name for path in (tmp_path / "embed").iterdir()} == {
        f"chain.{kind}" for kind in ("html", "js", "css", "png")
    }


@pytest.mark.parametrize("name", EMBEDS)
def test_a_page_has_the_name_of_its_picture(name):
    main = PAGES / name / f"{name}.js"
    assert f'panel(el, "{EMBEDS[name].title}")' in main.read_text(encoding="utf-8")


def test_bytes_and_brackets_survive_the_page():
    class Stub:
        def get_state(self, names):
            return {"_images": bytes(range(256)), "words": "</script><b>", "none": None}

    text = packed_traits(Stub(), EMBEDS["training"].kind)
    assert "<" not in text
    found = run(
        "((traits) => [[...new Uint8Array(traits._images.buffer)], traits.words, traits.none])"
        "(readTraits(text))",
        text=text,
    )
    assert found == [list(range(256)), "</script><b>", None]
    assert json.loads(text)["_images"]["base64"] == base64.b64encode(bytes(range(256))).decode()


def test_a_model_tells_its_listeners_of_changes_alone():
    heard = run(
        """(() => {
          const heard = [];
          const model = standaloneModel({ noise: 1, other: 2 });
          const listener = () => heard.push(model.get("noise"));
          model.on("change:noise", listener);
          model.on("change:noise", listener);
          for (const value of [1, 3, 3, NaN, NaN, 4]) model.set("noise", value);
          model.set("other", 5);
          model.off("change:noise", listener);
          model.off("change:other", listener);
          model.set("noise", 6);
          model.save_changes();
          return heard.map(String);
        })()"""
    )
    assert heard == ["3", "NaN", "4"]


def test_a_script_of_a_page_exports_nothing_and_leaves_no_name():
    text = classic("shared/standalone.js", "chain/chain.js", last="standalone(explorable, 'a');")
    assert not re.search("^(export|import) ", text, re.MULTILINE)
    assert re.search(r"^const explorable = \{ render \};$", text, re.MULTILINE)
    assert text.startswith("(() => {\n")
    assert text.endswith("standalone(explorable, 'a');\n})();\n")


def test_a_thousand_hostile_queries_hide_only_what_can_be_hidden():
    drawn = random.Random(0)
    pieces = ["hide", "theme", "=", "=", "&", ",", ",", "controls", "tour", "dark", "light", "%zz"]
    pieces += [
        "%",
        "%00",
        "\ud800",
        "__proto__",
        "constructor",
        "<script>",
        '"]',
        "hide=",
        "x" * 999,
    ]
    queries = ["?" + "".join(drawn.choices(pieces, k=drawn.randint(0, 12))) for _ in range(1000)]
    queries += ["?hide=tour,nothing,controls,tour&theme=dark", "?hide=link&hide=tour", ""]
    found = run("queries.map(askedOf)", queries=queries)
    parts = {"controls", "buttons", "tour", "charts", "notes", "link", "chapter"}
    for asked in found:
        assert set(asked["hidden"]) <= parts
        assert len(asked["hidden"]) == len(set(asked["hidden"]))
        assert asked.get("theme") in {None, "light", "dark"}
    assert found[-3] == {"hidden": ["controls", "tour"], "theme": "dark"}
    assert found[-2] == {"hidden": ["link"]}
    assert found[-1] == {"hidden": []}
