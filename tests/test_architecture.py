"""The shape of the library: imports run one way, rooms stay small, what is imported is declared."""

import ast
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
APART = "pictures"  # a script for an environment of its own
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "frugal").rglob("*.py"))
    if APART not in path.parts
}
# Where a newcomer's eye goes from the inside out; a module imports from its own room and from floors below.
FLOORS = (
    {"base", "waves"},
    {"schedule", "measurement", "images", "lpips_weights", "covariance"},
    {"operators", "prior", "metrics"},
    {"guidance", "collapse"},
    {"samplers", "deepinv_bridge"},
    {"settings", "results", "laboratory"},
    {"pipeline"},
    {"runs", "training"},
    {"photo", "show"},
    {"cli"},
)


def imported(module):
    """The modules that one of ours imports, anywhere in its text, as absolute names."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in MODULES else source


def graph():
    """{module: the modules of ours that it imports}; what a package offers is imported from the package."""
    return {m: {n for n in imported(m) if n in MODULES and n not in (m, "frugal")} for m in MODULES}


def room(module):
    return module.split(".")[1] if "." in module else module


def test_there_is_no_circle():
    tuple(TopologicalSorter(graph()).static_order())  # raises CycleError


def test_a_newcomer_counts_few_rooms():
    assert len({room(m) for m in MODULES}) <= 24


def test_arrows_run_down():
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    assert set(floor) == {room(m) for m in MODULES} - {"frugal"}
    level_or_up = [
        (m, n)
        for m, names in graph().items()
        if m != "frugal"
        for n in names
        if room(n) != room(m) and floor[room(n)] >= floor[room(m)]
    ]
    assert not level_or_up


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_at_most_250_lines(module):
    assert len(MODULES[module].read_text().splitlines()) <= 250


def third_party(paths):
    """Names of the distributions that some files import, without the standard library and what lies beside."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    beside = {path.stem for path in paths} | {path.parent.name for path in paths}
    owners = packages_distributions()
    return {
        canonicalize_name(owners[n][0])
        for n in names
        - beside
        - set(sys.stdlib_module_names)
        - {"frugal", "experiments", "play", "alone", "build", "pages", "progress"}
    }


def declared(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + sum((project["optional-dependencies"][e] for e in extras), [])
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_the_library_imports_what_it_declares_and_no_more():
    core = [path for module, path in MODULES.items() if room(module) not in ("show",)]
    lazily = {"scikit-learn", "scikit-image", "deepinv"}  # for fits, --align and the bridge, which say so
    assert third_party(core) - lazily == declared() - {"torchvision"} | ({"torchvision"} & third_party(core))


def test_the_book_declares_what_it_imports():
    pages = [*(ROOT / "frugal" / "show").glob("*.py"), *(ROOT / "book").rglob("*.py")]
    assert third_party(pages) <= declared("book", "test", "graphs", "search")


def test_the_tests_declare_what_they_import():
    assert third_party([*(ROOT / "tests").glob("*.py")]) <= declared("book", "test")
