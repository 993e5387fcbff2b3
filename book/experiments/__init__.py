"""The book's experiments: a line of ``table.EXPERIMENTS`` each, measured by one ``engine``."""

import frugal  # noqa: F401  before diffusers, which it prepares for
