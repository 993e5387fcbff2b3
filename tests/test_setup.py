"""What a fresh machine installs: the lock file, pyproject.toml and environment.yml tell one story."""

import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path

import pytest
import torch
import yaml
from jupyter_client.manager import KernelManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from frugal.base import imports

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"pytorch": "torch"}  # where conda-forge has a name of its own


def requirements(lines):
    """{canonical name: Requirement} of lines in pip's format."""
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def version(requirement):
    """The one version that an exact pin admits."""
    (specifier,) = requirement.specifier
    assert specifier.operator == "==" and "*" not in specifier.version, f"{requirement} is no exact pin"
    return specifier.version


@pytest.fixture(scope="module")
def lock():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return requirements(line for line in lines if not line.startswith("#"))


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def direct(project):
    return requirements(project["dependencies"] + sum(project["optional-dependencies"].values(), []))


def test_lock_pins_all_that_the_project_asks_for(lock, direct):
    for name, requirement in direct.items():
        assert requirement.specifier.contains(version(lock[name])), f"{requirement} against {lock[name]}"
    assert all(version(pin) for pin in lock.values())


def test_hashes_are_there_for_all_pins_but_those_of_torch(lock):
    text = (ROOT / "requirements.hashes").read_text()
    hashed = requirements(re.findall(r"^(\S+==.*?) \\\n +--hash=sha256:", text, re.M))
    assert {name: version(pin) for name, pin in hashed.items()} == {
        name: version(pin) for name, pin in lock.items() if name not in ("torch", "torchvision")
    }, "run `make lock`"


def test_lock_has_all_that_its_packages_need(lock):
    """Nothing is resolved at set-up, torch's CUDA libraries apart."""
    for name in lock.keys() - {"torch"}:
        if lock[name].marker is None or lock[name].marker.evaluate():
            for line in distribution(name).requires or []:
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    assert needed.specifier.contains(version(lock[canonicalize_name(needed.name)])), name


def test_environment_has_the_same_pins(lock, direct, project):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *conda, (pip) = environment["dependencies"]
    assert f"python{project['requires-python']}" in conda and "pip" in conda
    pinned = requirements([line for line in conda if not re.match("python|pip$", line)] + pip["pip"])
    pinned = {CONDA_NAMES.get(name, name): version(requirement) for name, requirement in pinned.items()}
    assert pinned == {name: version(lock[name]) for name in direct}


@pytest.mark.filterwarnings("ignore")
def test_torchvision_and_lpips_can_be_imported():
    """After frugal; as diffusers is, on which every test here depends."""
    assert import_module("torchvision") and import_module("lpips")


def test_a_torchvision_that_loads_is_left_alone(monkeypatch):
    loaded, defined = [], []
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    others = [finder for finder in sys.meta_path if not isinstance(finder, imports.BeforeTorchvision)]
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.setattr(imports, "_kept_alive", [])
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    monkeypatch.setattr(torch.library, "Library", lambda *args: defined.append(args))
    imports.mend_torchvision()
    assert len(loaded) == 1 and not defined


def test_notebooks_run_in_this_environment():
    assert KernelManager(kernel_name="python3").format_kernel_cmd()[0] == sys.executable


def test_ci_runs_the_readmes_test_command():
    assert re.search(r"^ *make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_citation_names_this_version(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_make_without_a_target_prints_help():
    help_text = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in help_text for target in ("book", "print", "test", "setup", "clean"))


def make(folder, *arguments, **environment):
    """Run `make` on this Makefile in ``folder``, with no environment active but the one given."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements.hashes", "book/alone.py"):
        if not (folder / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return subprocess.run(
        ["make", "-C", folder, *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"} | environment,
    )


def script(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_no_python_gets_one_sentence(tmp_path):
    run = make(tmp_path, "setup", "PYTHON3=no-such-python")
    assert run.returncode != 0 and not (tmp_path / ".venv").exists()
    assert "frugal needs Python 3.11 or newer, and there is no no-such-python" in run.stdout


def test_an_old_python_gets_one_sentence(tmp_path):
    old = script(
        tmp_path / "old",
        f'exec {sys.executable} -c "import sys; sys.version_info = (3, 9)',
        "sys.version = '3.9.1'",
        '$2"',
    )
    run = make(tmp_path, "setup", f"PYTHON3={old}")
    assert run.returncode != 0 and not (tmp_path / ".venv").exists()
    assert re.search(r"^frugal needs Python 3.11 or newer, and \S+ is 3.9.1; name another", run.stderr)


@pytest.mark.parametrize("uv", [True, False])
def test_setup_is_done_once_and_again_when_interrupted_or_changed(tmp_path, uv):
    """An active environment whose python only notes what it is asked for, and fails when told to."""
    active = tmp_path / "an environment"
    script(
        active / "bin/python",
        f'[ "$1" != book/alone.py ] || exec {sys.executable} "$@"',
        f'echo "$*" >> "{tmp_path}/calls"',
        f'[ ! -e "{tmp_path}/no-network" ]' + ("" if uv else ' && [ "$2" != uv ]'),
    )

    def steps():
        """Whether set-up came to its end, and what it asked of python."""
        (tmp_path / "calls").write_text("")
        run = make(tmp_path, "setup", VIRTUAL_ENV=str(active))
        asked = (tmp_path / "calls").read_text().splitlines()
        return run.returncode == 0, [line for line in asked if line.startswith("-m")]

    (tmp_path / "no-network").touch()
    assert not steps()[0]
    (tmp_path / "no-network").unlink()
    whole, first = steps()
    assert whole and any("torch==" in line for line in first)
    by_pip = "-m pip install --no-deps --require-hashes -r requirements.hashes"
    assert any("-m uv pip install" in line for line in first) and (by_pip in first) == (not uv)
    assert steps() == (True, [])
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert steps() == (True, first)
    assert not (tmp_path / ".venv").exists()


def test_of_two_set_ups_at_once_the_second_waits_and_finds_all_done(tmp_path):
    active = tmp_path / "environment"
    script(
        active / "bin/python",
        f'[ "$1" != book/alone.py ] || exec {sys.executable} "$@"',
        f'echo "$*" >> "{tmp_path}/calls"',
        "sleep 0.2",
    )
    with ThreadPoolExecutor(2) as pool:
        make(tmp_path, "help")  # which lays out the folder
        runs = [pool.submit(make, tmp_path, "setup", VIRTUAL_ENV=str(active)) for _ in range(2)]
    assert [run.result().returncode for run in runs] == [0, 0]
    assert sum("Another make works in this folder" in run.result().stdout for run in runs) == 1
    assert (tmp_path / "calls").read_text().count("-m frugal.lpips_weights") == 1
