import frugal  # noqa: F401  first, so that it mends torchvision before a test imports diffusers
from hypothesis import settings

# The same examples on every machine, and no time limit that a slow one would miss.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
