"""What CONTRIBUTING.md promises: a sampler, an operator, a metric and an experiment are a function and a line each.

In a copy of the repository all four are added, and every test that concerns them is green there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What concerns an addition: the tests that bear its name or list what is accepted, and those that go through a table.
CONCERNED = (
    *("pulled", "mirror", "absolute", "added", "sr5", "ddim", "belongs_to_what_is_in_use", "has_a_command"),
    *("test_architecture", "test_claims", "test_invariants", "test_metrics", "test_restore", "test_rows"),
    *(
        "test_settings",
        "test_show",
        "test_statistics",
        "test_walk",
        "frontier",
        "however_the_batches_are_cut",
    ),
)
FILES = (
    *("architecture", "claims", "invariants", "measured", "metrics", "operators", "origin", "restore"),
    *("rows", "samplers", "settings", "show", "statistics", "tuning", "walk", "wrong_input"),
)
PROGRAM = """
import runpy, sys, pytest
sys.argv = ["experiments", "added"]
try:
    runpy.run_path("book/experiments", run_name="__main__")
except SystemExit as end:
    assert not end.code
sys.exit(pytest.main(sys.stdin.read().splitlines()))
"""
SAMPLER = '''"""A sampler of one's own."""

import torch

from ..guidance import centred_mean
from ..measurement import Measurement
from ..schedule import Schedule, ddim, noise_in
from .walk import Denoise, Noise, Step, Stepped


def pulled(denoise: Denoise, schedule: Schedule) -> Step:
    """The mean of x_0 given y around the guess, as if the guess left as much open as the noise."""

    @torch.no_grad()
    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat = denoise(x_k, k)
        mean = centred_mean(x0_hat, m, 1 - schedule.alpha_bar[k])
        return Stepped(ddim(schedule, k, mean, noise_in(schedule, k, x_k, x0_hat), noise(), 1.0), x0_hat)

    return step
'''
OPERATOR = '''"""A mirror."""

import math

import torch

from ..measurement import LinearOperator


def mirroring(name: str, image_shape: tuple[int, ...]) -> LinearOperator:
    """y = the picture mirrored: U mirrors, V = I, s = 1."""
    s = torch.ones(math.prod(image_shape), dtype=torch.float64)
    return LinearOperator(
        name,
        image_shape,
        image_shape,
        s,
        U=lambda c: c.reshape(-1, *image_shape).flip(3),
        Ut=lambda y: y.flip(3).flatten(1),
        V=lambda c: c.reshape(-1, *image_shape),
        Vt=lambda x: x.flatten(1),
    )
'''
METRIC = '''def absolute(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean absolute error of images (B, C, H, W) in [-1, 1]; (B,)."""
    check(x, y)
    return (x - y).abs().flatten(1).mean(1)


'''
EXPERIMENT = '''"""One face restored by DPS."""

from frugal import Settings, images
from frugal.runs import restore

from .engine import Job

SIGMA = 0.05


def then(job: Job) -> dict[str, object]:
    """{"rows": one}."""
    faces = images.named("faces", job.pipe.size, 1)
    return {"rows": list(restore.compare(job.pipe, faces, "sr4", SIGMA, Settings(2), ["dps"])[0])}
'''
# (file, before which line, what is added)
ADDED = (
    ("frugal/samplers/pulled.py", None, SAMPLER),
    ("frugal/samplers/__init__.py", "from .walk import", "from .pulled import pulled\n"),
    (
        "frugal/samplers/__init__.py",
        '    "mpgd": Method',
        '    "pulled": Method(pulled, "pulled", "#117733"),\n',
    ),
    ("frugal/operators/mirror.py", None, OPERATOR),
    ("frugal/operators/__init__.py", "from .patterns import", "from .mirror import mirroring\n"),
    ("frugal/operators/__init__.py", '    "inpaint": Task', '    "mirror": Task(mirroring),\n'),
    ("frugal/metrics.py", "def check(", METRIC),
    (
        "frugal/metrics.py",
        '    "lpips": Metric',
        '    "absolute": Metric(absolute, "mean absolute error", -1),\n',
    ),
    ("book/experiments/added.py", None, EXPERIMENT),
    ("book/experiments/table.py", "    bench,\n", "    added,\n"),
    (
        "book/experiments/table.py",
        '    "bench": Experiment',
        '    "added": Experiment(added, "SIGMA", BY_POSTER, options={"seed": 0}, sizes=TUNED),\n',
    ),
    ("book/reproduce.md", "| `bench.json`", "| `added.json` | one face | `make measure NAME=added` |\n"),
    (
        "tests/test_operators.py",
        '    if task == "colorize":',
        '    if task == "mirror":\n        return np.kron(np.eye(48), np.eye(16)[::-1])\n',
    ),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository with the additions."""
    folder = tmp_path_factory.mktemp("additions") / "repository"
    beside = shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__", "*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=beside)
    for name, before, text in ADDED:
        file = folder / name
        old = file.read_text() if file.exists() else ""
        at = len(old) if before is None else re.search("^" + re.escape(before), old, re.M).start()
        file.write_text(old[:at] + text + old[at:])
    return folder


def test_a_sampler_an_operator_a_metric_and_an_experiment_are_a_function_and_a_line(copy):
    """With the library that lies in the copy: the experiment is measured, and then the tests are run."""
    options = ("-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", "-k", " or ".join(CONCERNED))
    own = {"PYTHONPATH": str(copy), "FRUGAL_CHAINS": "", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join([*options, *(f"tests/test_{name}.py" for name in FILES)]),
        cwd=copy,
        env=os.environ | own,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout[-5000:] + done.stderr[-2000:]
