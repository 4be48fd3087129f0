"""Names that are imported when they are first used."""

import gc
import sys

import pytest

from sbt_utils.lazily import exports

MODULES = {"sound": "import gc\nseen = gc.isenabled()\n", "broken": "seen = 1 / 0\n"}


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_searched_for_after_an_import_as_before(collects, tmp_path, monkeypatch):
    package = f"offering_{collects}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    for name, text in MODULES.items():
        (tmp_path / package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    __import__(package)
    get = {name: exports(package, {name: "seen"})[0] for name in MODULES}
    if not collects:
        gc.disable()
    try:
        assert get["sound"]("seen") is False
        assert gc.isenabled() == collects
        with pytest.raises(ZeroDivisionError):
            get["broken"]("seen")
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert sys.modules[package].seen is False
