"""Plant mistakes in a copy of the library, one at a time, and note which tests of the laboratory catch each.

Runs tests/test_laboratory.py once on the library as it is, which must pass, and once for each mistake. A
mistake is made on the syntax tree, so layout and comments do not matter to it.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from frugal.base import provenance
from frugal.base.checks import Refusal

from . import record
from .mistakes import MISTAKES

ROOT = Path(__file__).resolve().parents[2]
TESTS = "test_laboratory.py"
NEEDED = ("conftest.py", TESTS)  # of the folder tests
LABORATORY = ("mixtures", "low_rank", "problem", "distances", "sweep", "transitions")
DEPENDS = (*provenance.SAMPLING, *(f"laboratory/{name}" for name in LABORATORY))
OF_A_PRIOR = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def settings(name: str) -> dict[str, object]:
    """What else has to be as it was: the tests, and the list of mistakes."""
    return {
        "tests": f"tests/{TESTS}",
        "tests_code": record.digest(ROOT / "tests" / TESTS),
        "mistakes": record.digest(Path(__file__).with_name("mistakes.py")),
    }


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "mutants": [{"name", "file", "old", "new", "failed": {test: how many of its cases}}]}.

    Raises Refusal where the laboratory fails without a mistake.
    """
    mutants, meta = [], record.stamp(args, None, DEPENDS, **settings(args.name))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        leave = shutil.ignore_patterns("__pycache__", "priors", "pictures")
        shutil.copytree(ROOT / "frugal", folder / "frugal", ignore=leave)
        for file in NEEDED:
            shutil.copy(ROOT / "tests" / file, folder)
        if failed := failed_tests(folder):
            raise Refusal(
                f"tests: the laboratory fails without a mistake: {', '.join(failed)}; mend it first"
            )
        for m in tqdm(MISTAKES, desc="mistakes"):
            place = folder / "frugal" / m.file
            good = place.read_text()
            place.write_text(planted(good, m.old, m.new))
            failed = failed_tests(folder)
            place.write_text(good)
            mutants.append({"name": m.name, "file": m.file, "old": m.old, "new": m.new, "failed": failed})
    print(f"{sum(bool(m['failed']) for m in mutants)} of {len(mutants)} caught")
    return {"meta": meta, "mutants": mutants}


def parsed(code: str) -> ast.AST:
    """An expression, or one statement, as a syntax tree. Raises SyntaxError for code that is neither."""
    (node,) = ast.parse(code).body
    return node.value if isinstance(node, ast.Expr) else node


class Replacement(ast.NodeTransformer):
    """Puts ``new`` in the place of every node that is like ``old``, and counts them."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new, self.count = ast.dump(old), new, 0

    def visit(self, node: ast.AST) -> ast.AST:
        """The node, or what takes its place."""
        if ast.dump(node) == self.old:
            self.count += 1
            return self.new
        return self.generic_visit(node)


def planted(source: str, old: str, new: str) -> str:
    """A module's text with ``new`` in the place of ``old``, both an expression or both a statement.

    Comments and layout are lost. Raises Refusal unless ``old`` is there exactly once and ``new`` differs.
    """
    replacement = Replacement(parsed(old), parsed(new))
    tree = replacement.visit(ast.parse(source))
    if replacement.count != 1 or ast.dump(parsed(old)) == ast.dump(parsed(new)):
        raise Refusal(
            f"{old!r} is there {replacement.count} times; a mistake needs it once, and another in its place"
        )
    return ast.unparse(tree) + "\n"


def failed_tests(folder: Path) -> dict[str, int]:
    """{test: number of its cases that fail} of the laboratory with the library in ``folder``."""
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", TESTS]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    failed = Counter(re.findall(rf"^(?:FAILED|ERROR) {re.escape(TESTS)}(?:::(\w+))?", done.stdout, re.M))
    if done.returncode != (1 if failed else 0):
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return dict(failed)
