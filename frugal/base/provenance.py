"""What a reader needs to run the same code again: versions, the commit, and a digest of the library's code."""

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def versions() -> dict[str, str | None]:
    """{"commit", "frugal", "python", "torch", "diffusers"}; None for what is not known.

    The commit is git's; a copy without its history, in a container say, has it in the variable GIT_COMMIT.
    """
    git = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = os.environ.get("GIT_COMMIT")
    found: dict[str, str | None] = {"commit": commit, "frugal": None, "python": platform.python_version()}
    for package in ("frugal", "torch", "diffusers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


@cache
def code_digest() -> str:
    """Digest of the library's modules, but for ``show``, which draws what others computed.

    Whatever a module holds counts, in whatever room it lies: a new one as much as an old one.
    """
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*.py")):
        inside = path.relative_to(HERE)
        if inside.parts[0] not in ("show", "pictures"):
            digest.update(f"{inside.as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
