"""What a reader needs to run the same code again: versions, the commit, and a digest of the sampling code."""

import ast
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import diffusers
import torch

HERE = Path(__file__).parent
SAMPLING = (
    "schedule",
    "measurement",
    "implicit",
    "operators",
    "guidance",
    "samplers",
    "rivals",
    "centred",
    "waves",
    "spectral",
    "methods",
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


@cache
def definitions(*modules: str) -> dict[str, str]:
    """{"samplers.dps_step": digest, ...}: ``code_digest`` definition by definition.

    A definition is a function, a class, an imported or assigned name, or a line of a table such as
    ``samplers.METHODS.dps``. One that is added leaves what the others do as it was.
    """
    found: dict[str, str] = {}
    for module in modules or SAMPLING:
        for name, text in named_parts(bare((HERE / f"{module}.py").read_text())):
            key = f"{module}.{name}"
            found[key] = hashlib.sha256((found.get(key, "") + text).encode()).hexdigest()[:8]
    return found


def named_parts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The definitions of a module: (name, what it does), in the order of the source."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, written(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            where = written(getattr(node, "module", None)) + written(getattr(node, "level", None))
            for alias in node.names:
                yield alias.asname or alias.name, where + written(alias)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            table = ast.unparse(node.targets[0])
            for key, value in zip(node.value.keys, node.value.values):
                yield f"{table}.{ast.literal_eval(key) if key else '**'}", written(value)
        elif isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), written(node.value)
        else:
            yield type(node).__name__, written(node)


def meaning(source: str) -> str:
    """The syntax tree of a source text without docstrings and annotations, the same for every Python."""
    return written(bare(source))


def bare(source: str) -> ast.Module:
    """The syntax tree of a source text without docstrings and annotations."""
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
    return tree


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
