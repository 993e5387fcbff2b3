"""Every measured file of the book is renewed by ``python book/measure NAME``, see ``command``."""

import frugal  # noqa: F401  before diffusers, which it prepares for
