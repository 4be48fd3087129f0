"""Finished parts are removed, and nothing of anybody else's."""

from sbt_book.common.parts import remove_parts


def test_only_the_parts_are_removed_and_then_their_empty_folder(tmp_path):
    folder = tmp_path / "cnn.parts"
    folder.mkdir()
    parts = [folder / "000002.nc", folder / "000004.nc"]  # the second was never written
    parts[0].touch()
    thesis = folder / "thesis.txt"
    thesis.write_text("hi")
    remove_parts(parts)
    assert list(folder.iterdir()) == [thesis]
    thesis.unlink()
    remove_parts(iter(parts))
    assert not folder.exists()
    remove_parts(parts)  # nothing is there
