"""The book's sources: notebooks executed, equations tied to code, links and numbers that are there."""

import ast
import pkgutil
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from examples import loaded
from myst_parser.mdit_to_docutils.base import default_slugify

import frugal

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted((ROOT / "book").glob("*.md")) + NOTEBOOKS
PARAMETERS = {"images", "steps", "switch", "sigma", "seed", "prior", "device"}


@pytest.fixture(params=NOTEBOOKS, ids=[p.stem for p in NOTEBOOKS])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_executed_from_top_to_bottom_without_an_error(notebook):
    """nbval passes a cell that was never executed, so this one does not."""
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


def test_has_the_parameters_of_every_notebook(notebook):
    (cell,) = [c for c in code(notebook) if "parameters" in c.metadata.get("tags", [])]
    assert set(re.findall(r"^(\w+) = ", cell.source, re.M)) == PARAMETERS


def test_every_figure_has_a_caption_and_a_text_for_those_who_cannot_see_it(notebook):
    drawing = [c for c in code(notebook) if any("image/png" in o.get("data", {}) for o in c.outputs)]
    for cell in drawing:
        shown = cell.metadata["mystnb"]
        assert len(shown["figure"]["caption"]) > 30 and len(shown["image"]["alt"]) > 30


def test_some_cells_are_compared_and_some_hold_an_assertion(notebook):
    compared = [
        c for c in code(notebook) if c.outputs and "nbval-ignore-output" not in c.metadata.get("tags", [])
    ]
    assert compared and any("assert " in c.source for c in code(notebook))


def prose(page):
    """The Markdown of one page."""
    if page.suffix == ".md":
        return page.read_text()
    cells = nbformat.read(page, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def text_of_all_pages():
    return "\n".join(prose(page) for page in PAGES)


def test_equations_are_labelled_once_and_every_reference_has_one():
    text = text_of_all_pages()
    labels = re.findall(r"^:label: (\S+)$", text, re.M)
    assert len(labels) == len(set(labels))
    assert {f"eq-{n}" for n in range(1, 7)} <= set(labels)
    cited = set(re.findall(r"\{eq\}`([^`]+)`", text))
    assert cited <= set(labels)
    assert {f"eq-{n}" for n in range(1, 7)} <= cited


def equation_map():
    """{label: the names of its functions}, from the table of book/equations.md."""
    rows = re.findall(r"^\| \{eq\}`([^`]+)` \|(.*)$", prose(ROOT / "book" / "equations.md"), re.M)
    assert len(rows) == len(dict(rows))
    return {label: re.findall(r"\{py:\w+\}`~?([\w.]+)`", row) for label, row in rows}


def equations_named(text):
    """Labels of the equations that a text names, as in "Eqs. 1e and 1g"."""
    number = r"(?:\d+[a-z]?|a\d)"
    groups = re.findall(rf"\bEqs?\. ({number}(?:(?:, | and ){number})*)", text)
    return {f"eq-{found}" for group in groups for found in re.findall(number, group)}


def test_every_equation_is_in_the_map_and_nothing_else_is():
    assert set(equation_map()) == set(re.findall(r"^:label: (\S+)$", text_of_all_pages(), re.M))


@pytest.mark.parametrize("label", equation_map())
def test_a_function_in_the_map_exists_and_names_its_equation(label):
    for name in equation_map()[label]:
        assert label in equations_named(pkgutil.resolve_name(name).__doc__), name


LIBRARY = Path(frugal.__file__).parent
MODULES = [
    path for path in sorted(LIBRARY.rglob("*.py")) if path.parent.name != "pictures"
]  # a script of its own


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_every_equation_that_a_docstring_names_is_in_the_map(module):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, kinds)]
    named = set().union(*(equations_named(ast.get_docstring(node) or "") for node in nodes))
    assert named <= set(equation_map())


def checks():
    """{label: the cell of the map's last column}, where its numerical check is."""
    rows = re.findall(r"^\| \{eq\}`([^`]+)` \|.* \| ([^|]+) \|$", prose(ROOT / "book" / "equations.md"), re.M)
    return dict(rows)


def sections_with_an_assertion(page):
    """Slugs of the headings of a notebook that have an assertion in a cell below them."""
    found, heading = set(), ""
    for cell in nbformat.read(page, as_version=4).cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S)
            heading = ([heading] + re.findall(r"^#+ (.+)$", text, re.M))[-1]
        elif re.search(r"^\s*assert ", cell.source, re.M):
            found.add(default_slugify(heading))
    return found


@pytest.mark.parametrize("label", equation_map())
def test_an_equation_has_a_numerical_check_or_is_a_definition(label):
    """A section of a notebook that asserts something, or a unit test."""
    where = checks()[label]
    sections = re.findall(r"\]\(([^)#]+)#([^)]+)\)", where)
    tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", where)
    assert len(sections) + len(tests) == 1 or where.startswith("definition: ")
    for notebook, section in sections:
        assert section in sections_with_an_assertion(ROOT / "book" / notebook)
    for file, name in tests:
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.M)


def headings(page):
    """What a link may name behind the #: slugs of headings, and labels set with (name)=."""
    text = re.sub(r"^```.*?^```", "", prose(page), flags=re.M | re.S)
    slugs = {default_slugify(title) for title in re.findall(r"^#+ (.+)$", text, re.M)}
    return slugs | set(re.findall(r"^\((\S+)\)=$", text, re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_between_pages_lead_somewhere(page):
    text = prose(page)
    for target in re.findall(r"\{doc\}`(?:[^`<]+<)?([^`>]+)>?`", text):
        assert any((page.parent / target).with_suffix(kind).exists() for kind in (".md", ".ipynb")), target
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if "://" not in target:
            linked = (page.parent / target).resolve() if target else page
            assert linked.exists() and (not anchor or anchor in headings(linked)), (target, anchor)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_numbers_of_other_pages_are_glued_there(page):
    for path, key in re.findall(r"\{glue:text\}`([^:`]+)::(\w+):s`", prose(page)):
        cells = code(nbformat.read(page.parent / path, as_version=4))
        outputs = [output.get("metadata", {}) for cell in cells for output in cell.outputs]
        assert key in [kept.get("scrapbook", {}).get("name") for kept in outputs]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_what_a_page_shows_of_another_is_drawn_there(page):
    drawn = loaded(ROOT / "book" / "_ext" / "page_figure.py").drawn
    for path, name in re.findall(r"^:::\{page-figure\} (\S+) (\S+)$", prose(page), re.M):
        shown = drawn(page.parent / path, name)
        assert shown.get("format") == "html" or len(shown["alt"]) > 30


def html_of(page):
    """The prose of a page, and the HTML that its cells show."""
    cells = [] if page.suffix == ".md" else code(nbformat.read(page, as_version=4))
    shown = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell.outputs]
    return "\n".join([prose(page), *("".join(html) for html in shown)])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_pictures_have_a_text_and_nothing_is_fetched_from_elsewhere(page):
    text = html_of(page)
    assert not re.search(
        r"<(?:img|script|link|iframe|source)\b[^>]*(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text
    )
    assert not re.search(r"!\[[^\]]*\]\(https?:|@import|url\([\"']?https?:", text)
    assert not re.search(r"^(?:```|:::)\{(?:image|figure)\} https?:", text, re.M)
    texts = re.findall(r"!\[([^\]]*)\]\(", text)
    texts += [
        (re.search(r"\balt=[\"'](.*?)[\"']", tag) or ["", ""])[1] for tag in re.findall(r"<img\b[^>]*>", text)
    ]
    for directive in re.findall(r"^(?:```|:::)\{(?:image|figure)\}.*?^(?:```|:::)$", text, re.M | re.S):
        texts.append((re.search(r"^:alt: (.+)$", directive, re.M) or ["", ""])[1])
    assert all(len(alt) > 10 for alt in texts)


def test_the_contents_list_every_page():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    there = [f"book/{p.stem}" for p in (ROOT / "book").glob("*.md")] + [
        f"notebooks/{p.stem}" for p in NOTEBOOKS
    ]
    assert sorted(listed) == sorted(there)
