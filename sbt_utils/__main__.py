"""``python -m sbt_utils``, the same as ``sbt-utils``."""

import sys

from sbt_utils.commands import main

if __name__ == "__main__":
    sys.exit(main(program="python -m sbt_utils"))
