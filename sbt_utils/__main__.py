"""The command line from its start, ``sbt-utils`` or ``python -m sbt_utils``.

From here on Ctrl-C ends it with a line; while Python itself starts, it shows a traceback.
"""

import gc
import os
import signal
import sys
from typing import Any


def main(program: str = "sbt-utils") -> int:
    """Run the command that this process was given; return the exit status, 130 for Ctrl-C."""

    def leave(*_: Any) -> None:
        os.write(2, f"{program}: interrupted; nothing is kept\n".encode())
        os._exit(130)

    ordinary = signal.getsignal(signal.SIGINT)
    if ordinary is signal.default_int_handler:  # a process in the background may ignore Ctrl-C
        # While PyTorch is imported, an exception in its C++ code would abort the process.
        signal.signal(signal.SIGINT, leave)
    from sbt_utils.commands import main as run

    status = run(program=program, imported=lambda: signal.signal(signal.SIGINT, ordinary))
    gc.freeze()  # Python would search all that was imported for garbage: a second at the end
    return status


if __name__ == "__main__":
    sys.exit(main("python -m sbt_utils"))
