"""Work in threads: what fails there, and Ctrl-C, end all of it."""

import os
import signal
import threading
import time

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sbt_utils.threads import check_stopped, in_threads, single_products, uncut


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


def ctrl_c(at_work):
    """Press Ctrl-C once work has begun."""

    def press():
        assert at_work.wait(30)
        os.kill(os.getpid(), signal.SIGINT)  # to the process, as a terminal does

    threading.Thread(target=press).start()


def test_ctrl_c_ends_all_threads_that_ask_whether_to_stop():
    at_work, left = threading.Event(), threading.Semaphore(0)

    def work(item, stopped):
        if item == 2:
            at_work.set()
        try:
            while True:
                check_stopped()
                time.sleep(0.001)
        finally:
            left.release()

    ctrl_c(at_work)
    with pytest.raises(KeyboardInterrupt):
        in_threads(work, range(100), 3)
    for _ in range(3):
        assert left.acquire(timeout=0)
    assert not left.acquire(timeout=0)  # no further item was begun


def test_ctrl_c_does_not_wait_for_what_asks_nothing():
    at_work, over = threading.Event(), threading.Event()

    def work(item, stopped):
        at_work.set()
        over.wait(30)

    ctrl_c(at_work)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_threads(work, range(4), 4)
    assert time.monotonic() - start < 2
    over.set()


def test_outside_of_such_threads_nobody_is_to_stop():
    check_stopped()
    in_threads(lambda item, stopped: stopped.set(), [1])
    check_stopped()


def test_so_many_threads_at_most():
    def work(item, stopped):
        time.sleep(0.01)
        return threading.get_ident()

    assert len(set(in_threads(work, range(12), 2))) == 2


class Ended:
    """What Ctrl-C meets in its destructor."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_a_destructor_acts_afterwards():
    reached = []

    def work():
        with uncut():
            Ended()
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached
    with uncut():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_threads_are_left_to_their_own():
    found = []

    def work():
        with uncut():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]


def test_products_use_one_thread_until_the_last_block_ends():
    def most():
        return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    with threadpool_limits(2, "blas"):
        first, second = single_products(), single_products()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert most() == 1
        second.__exit__(None, None, None)
        assert most() == 2
