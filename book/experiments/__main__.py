"""``python book/experiments NAME``: measure an experiment, see ``command``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.command import main  # noqa: E402  found through the line above

sys.exit(main())
