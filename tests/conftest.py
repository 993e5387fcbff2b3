import os

# Processes of `make test` that run side by side share the cores; the notebooks' kernels inherit this.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // int(workers))))

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

import frugal  # noqa: E402, F401  first, so that it mends torchvision before a test imports diffusers

# The same examples on every machine, and no time limit that a slow one would miss.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


@pytest.fixture(autouse=True)
def computed_anew(monkeypatch):
    """What `make test` keeps of the notebooks' restorations is not for the unit tests."""
    monkeypatch.delenv("FRUGAL_CHAINS", raising=False)
