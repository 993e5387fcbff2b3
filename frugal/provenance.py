"""What a reader needs to run the same code again: versions, the commit, and a digest of the sampling code."""

import ast
import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import diffusers
import torch

HERE = Path(__file__).parent
SAMPLING = (
    "schedule",
    "measurement",
    "operators",
    "guidance",
    "samplers",
    "collapse",
    "pipeline",
    "restore",
    "metrics",
)


def versions() -> dict[str, str | None]:
    """{"commit", "frugal", "python", "torch", "diffusers"}.

    The commit is git's; a copy without its history, in a container say, has it in the variable GIT_COMMIT.
    """
    git = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = os.environ.get("GIT_COMMIT")
    try:
        own = version("frugal")
    except PackageNotFoundError:
        own = None
    return {
        "commit": commit,
        "frugal": own,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }


@cache
def code_digest(*modules: str) -> str:
    """Digest of what the modules of this package do, by default all that a restoration runs through.

    Of their syntax trees without docstrings and annotations, so that comments, layout and prose do not count.
    """
    digest = hashlib.sha256()
    for name in modules or SAMPLING:
        digest.update(f"{name}:{meaning((HERE / f'{name}.py').read_text())}\n".encode())
    return digest.hexdigest()[:16]


def meaning(source: str) -> str:
    """The syntax tree of a source text without docstrings and annotations, the same for every Python."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return written(tree)


def written(node: object) -> str:
    """A syntax tree as text; what is empty is left out, for newer versions of Python have more fields."""
    if isinstance(node, list):
        return f"[{','.join(map(written, node))}]"
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={written(value)}" for name, value in ast.iter_fields(node) if value not in (None, [])
        ]
        return f"{type(node).__name__}({','.join(fields)})"
    return repr(node)
