"""``python book/measure NAME``: renew a measured file, see ``command``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from measure.command import main  # noqa: E402  found through the line above

sys.exit(main())
