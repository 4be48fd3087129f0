"""The files of the explorables can be joined to one text, whichever of them import each other."""

import re
from collections import Counter

import pytest
import traitlets

from sbt_book.live.chain import ChainExplorable
from sbt_book.live.explorable import PAGES, Explorable, joined
from sbt_book.live.phase_diagram import PhaseDiagramExplorable
from sbt_book.live.ruler import RulerExplorable
from sbt_book.live.training import TrainingExplorable

FILES = sorted(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.js"))
NAME = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)


def test_no_top_level_name_is_used_twice():
    texts = [(PAGES / name).read_text(encoding="utf-8") for name in FILES]
    names = Counter(name for text in texts for name in NAME.findall(text))
    assert {name for name, count in names.items() if count > 1} <= {"render"}


@pytest.mark.parametrize("name", FILES)
def test_joined_text_is_complete(name):
    text = joined(name)
    assert not re.search(r"^import\b", text, re.MULTILINE)
    assert not re.search(r"^export (?!default)", text, re.MULTILINE)
    defined = NAME.findall(text)
    assert len(defined) == len(set(defined))
    imported = re.findall(r"import \{([^}]*)\}", (PAGES / name).read_text(encoding="utf-8"))
    for each in ",".join(imported).split(","):
        assert not each.strip() or each.strip() in defined


def test_an_explorable_must_have_a_still_picture():
    with pytest.raises(NotImplementedError):
        Explorable().still()


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ChainExplorable, "blocks", 0),
        (ChainExplorable, "friction_right", -0.1),
        (RulerExplorable, "sections", 3),
        (RulerExplorable, "table_friction", 0.0),
        (RulerExplorable, "reach", 1.0),
        (RulerExplorable, "speed", 0.0),
        (RulerExplorable, "amplitude", 0.1),
        (TrainingExplorable, "dropout", 1.0),
        (TrainingExplorable, "batch_size", 1),
        (TrainingExplorable, "learning_rate", 0.3),
    ],
)
def test_values_out_of_range_are_refused(kind, name, value):
    with pytest.raises(traitlets.TraitError, match=name):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ChainExplorable, {}),
        (TrainingExplorable, {}),
        (PhaseDiagramExplorable, {"noise_axis": "data_noise", "noise": 0.3}),
    ],
)
def test_a_still_picture_and_words_go_with_it(kind, settings):
    data, _ = kind(**settings)._repr_mimebundle_()
    assert data["text/plain"].endswith(".")
    assert data["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in data
