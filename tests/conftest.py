import os

# Processes of `make test` that run side by side share the cores; the notebooks' kernels inherit this.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // int(workers))))

import copy  # noqa: E402
import functools  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from frugal import RestorationPipeline  # noqa: E402  mends torchvision before a test imports diffusers

# isort: split
from examples import small_pipe  # noqa: E402

from frugal.base import devices  # noqa: E402
from frugal.prior.step_sizes import StepSizes  # noqa: E402

# The same examples on every machine, and no time limit that a slow one would miss.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


def pytest_collection_modifyitems(items):
    """The longest file first: a process that came to it last would work alone."""
    items.sort(key=lambda item: item.path.name != "test_site.py")


@pytest.fixture(autouse=True, scope="session")
def read_once():
    """The shipped prior is read from its files once, and whoever asks for it gets a copy of its own."""
    read = RestorationPipeline.from_pretrained
    shipped = functools.cache(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RestorationPipeline,
            "from_pretrained",
            lambda name="faces64": copy.deepcopy(shipped(name)) if name == "faces64" else read(name),
        )
        yield


@pytest.fixture(autouse=True)
def in_bfloat16(monkeypatch):
    """Every processor can compute in bfloat16; where it takes long, tests wait rather than skip."""
    monkeypatch.setattr(devices, "computes_bfloat16", lambda device: True)


@pytest.fixture
def small(monkeypatch):
    """A small random network in place of the shipped prior, which takes ten times as long."""
    pipe, read = small_pipe(64), RestorationPipeline.from_pretrained
    pipe.step_sizes = StepSizes({"sr4": {0: {"zeta": 2.0, "lam": 1.0}}})
    chosen = lambda name="faces64": copy.deepcopy(pipe) if name == "faces64" else read(name)
    monkeypatch.setattr(RestorationPipeline, "from_pretrained", chosen)


@pytest.fixture(autouse=True)
def computed_anew(monkeypatch):
    """What `make test` keeps of the notebooks' restorations is not for the unit tests."""
    monkeypatch.delenv("FRUGAL_CHAINS", raising=False)
