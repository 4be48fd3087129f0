"""Work in threads: what fails there, and Ctrl-C, end all of it."""

import pytest

from sbt_utils.threads import in_threads


def test_a_failure_in_one_thread_is_raised_and_ends_the_others():
    begun = []

    def work(item, stopped):
        begun.append(item)
        if item == 3:
            raise KeyError("three")
        stopped.wait(0.01)

    with pytest.raises(KeyError, match="three"):
        in_threads(work, range(10_000))
    assert len(begun) < 10_000
    assert in_threads(lambda item, _: item**2, range(100)) == [n**2 for n in range(100)]
