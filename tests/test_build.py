"""The book's program: it runs what changed, tells how long that will take, and what it builds has no fault."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import build
import nbformat
import numpy as np
import psutil
import pytest

import pages
from play import assemble
from progress import Progress

ROOT = Path(__file__).resolve().parent.parent


def write_small_book(folder):
    """A book of two pages, one of which has parameters."""
    for name in ("book/measured", "book/written", "notebooks", "frugal"):
        (folder / name).mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "requirements.lock", "frugal/a.py", "book/measured/m.json"):
        (folder / name).write_text("a: 1")
    (folder / "book/seconds.json").write_text('{"10_a": [3, 4], "results": [9]}')
    for name, source in (("10_a", "images = 2"), ("results", "print(7)")):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[cell])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def small_book(monkeypatch, tmp_path):
    """The module book/pages.py, at work on a small book in ``tmp_path``."""
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "SOURCE", tmp_path / "_build" / "source")
    monkeypatch.setattr(pages.kernels, "IMPORTS", "json")
    write_small_book(tmp_path)
    return pages


def edit(folder, name, old, new):
    path = folder / "notebooks" / f"{name}.ipynb"
    path.write_text(path.read_text().replace(old, new))


def ran(pages, monkeypatch, parameters=None, **more):
    """Names of the pages that ``execute`` runs, in their order; they are not executed."""
    names = []

    def run(path, target, own, made_from, bar, manager):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata |= {"made_from": made_from, "seconds": [1.0]}
        nbformat.write(notebook, target)
        names.append(path.stem)

    monkeypatch.setattr(pages, "run", run)
    monkeypatch.setattr(pages, "processes", lambda parameters: 1)
    assert pages.execute(parameters or {}, **more) is None
    return names


def test_a_page_runs_again_only_when_what_it_is_made_from_changed(small_book, monkeypatch, tmp_path):
    again = lambda parameters=None, **more: sorted(ran(small_book, monkeypatch, parameters, **more))
    both = ["10_a", "results"]
    assert again() == both and again() == [] and again(fresh=True) == both
    assert again({"images": 3}) == ["10_a"] and again() == ["10_a"]
    (tmp_path / "book" / "page.md").write_text("prose")
    (tmp_path / "frugal" / "__pycache__").mkdir()
    (tmp_path / "frugal" / "__pycache__" / "a.pyc").touch()
    assert again() == []
    for name in ("frugal/a.py", "book/measured/m.json", "requirements.lock"):
        (tmp_path / name).write_text("a: 2")
        assert again() == both, name
    edit(tmp_path, "results", "print(7)", "print(8)")
    assert again() == ["results"]


def test_the_longest_page_begins_first(small_book, monkeypatch, tmp_path):
    assert ran(small_book, monkeypatch) == ["results", "10_a"]
    (tmp_path / "book" / "seconds.json").write_text('{"10_a": [5, 5], "results": [9]}')
    assert ran(small_book, monkeypatch, fresh=True) == ["10_a", "results"]


def test_seconds_are_spread_evenly_where_the_cells_are_not_those_that_were_measured(small_book, tmp_path):
    assert small_book.predicted(small_book.notebooks()) == {"10_a": [7], "results": [9]}
    (tmp_path / "book" / "seconds.json").write_text('{"results": [4]}')
    assert small_book.predicted(small_book.notebooks()) == {"10_a": [4], "results": [4]}


def test_a_switch_stays_at_its_share_of_the_steps_that_are_chosen(small_book):
    own = lambda page, **chosen: small_book.own_parameters(
        next((ROOT / "notebooks").glob(f"{page}_*")), chosen
    )
    assert own("08", steps=4, pictures=3) == {"steps": 4, "switch": 2} and own("06", steps=4)["switch"] == 0
    assert own("07", steps=4, switch=1) == {"steps": 4, "switch": 1} and own("07", images=1) == {"images": 1}


def test_pages_are_executed_and_a_failure_is_shown_whole_and_ends_the_others(small_book, tmp_path):
    assert small_book.execute({"images": 5}) is None
    executed = nbformat.read(small_book.SOURCE / "notebooks" / "results.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "7\n" and len(executed.metadata["seconds"]) == 1
    executed = nbformat.read(small_book.SOURCE / "notebooks" / "10_a.ipynb", as_version=4)
    assert len(executed.cells) == 2 and len(executed.metadata["seconds"]) == 1
    edit(tmp_path, "results", "print(7)", "print(1 / 0)")
    edit(tmp_path, "10_a", "images = 2", "while True: pass")
    failure = small_book.execute({})
    assert failure.startswith("results.ipynb") and "ZeroDivisionError" in failure
    assert small_book.kept_with(small_book.SOURCE / "notebooks" / "results.ipynb") is None


def test_a_kernel_that_dies_is_a_failure_of_its_page(small_book, tmp_path):
    edit(tmp_path, "results", "print(7)", "import os; os._exit(1)")
    assert small_book.execute({}).startswith("results.ipynb\nKernel died")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every kernel imports for itself")
@pytest.mark.parametrize(("module", "there"), [("colorsys", "True"), ("not_a_module", "False")])
def test_kernels_begin_with_the_imports_behind_them(module, there, small_book, monkeypatch, tmp_path):
    monkeypatch.setattr(small_book.kernels, "IMPORTS", module)
    monkeypatch.setattr(small_book, "processes", lambda parameters: 2)
    edit(tmp_path, "results", "print(7)", f"import sys; print('{module}' in sys.modules)")
    assert small_book.execute({}) is None
    executed = nbformat.read(small_book.SOURCE / "notebooks" / "results.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == f"{there}\n"


def test_a_forked_kernel_that_has_ended_is_no_error_and_another_is_ended(small_book):
    """As jupyter_client asks ``subprocess.Popen``; that a process has gone, it tolerates as ESRCH."""
    with subprocess.Popen(["sleep", "60"]) as process:
        kernel = small_book.kernels.Forked(process.pid)
        assert kernel.poll() is None
        kernel.terminate()
    assert process.returncode == -signal.SIGTERM and kernel.poll() == kernel.wait() == 0
    for end in (kernel.terminate, kernel.kill):
        with pytest.raises(ProcessLookupError):
            end()


def test_committed_outputs_say_which_library_they_belong_to(small_book, monkeypatch, tmp_path):
    whose = lambda: small_book.committed(tmp_path / "_build" / "committed")
    assert whose() == "2 of 2 pages do not say which library their outputs belong to."
    ran(small_book, monkeypatch)
    (small_book.SOURCE / "notebooks" / "hero.html").write_text("what a page wrote")
    small_book.keep()
    assert whose() == "All outputs belong to this state of the library."
    assert (tmp_path / "_build" / "committed" / "notebooks" / "hero.html").exists()
    edit(tmp_path, "results", "print(7)", "print(8)")
    assert whose().endswith("renews: results.")
    (tmp_path / "frugal" / "a.py").write_text("a: 2")
    assert whose().endswith("renews: 10_a, results.")


def test_the_books_run_of_a_page_serves_as_the_run_that_its_committed_outputs_are_compared_with(
    small_book, monkeypatch, tmp_path
):
    page, served = tmp_path / "notebooks/results.ipynb", lambda: small_book.outputs_in_book(page, "library")
    monkeypatch.setattr(small_book, "shared", lambda: "library")
    assert served() is None  # the book has not run it
    ran(small_book, monkeypatch, {"images": 1})
    assert served() == [[]]
    by_other_parameters = tmp_path / "notebooks/10_a.ipynb"
    assert small_book.outputs_in_book(by_other_parameters, "library") is None
    small_book.keep()
    assert served() is None  # the outputs would be compared with themselves
    assert ran(small_book, monkeypatch) == ["10_a"]  # which had other parameters
    assert ran(small_book, monkeypatch, to_compare=True) == ["results", "10_a"]
    ran(small_book, monkeypatch, fresh=True)
    edit(tmp_path, "results", "print(7)", "print(8)")
    assert served() is None  # another page


@pytest.mark.parametrize(("computed", "code"), [("7", 0), ("8", 1)])
def test_nbval_compares_with_the_books_run_and_starts_no_kernel(computed, code, tmp_path):
    write_small_book(tmp_path)
    for name in ("book/kernels.py", "book/pages.py", "book/progress.py", "notebooks/conftest.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    page = tmp_path / "notebooks/results.ipynb"
    cell = nbformat.v4.new_code_cell("raise RuntimeError", execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    answer = lambda text: [nbformat.v4.new_output("execute_result", data={"text/plain": text})]
    cell.outputs = answer("7")
    nbformat.write(notebook, page)
    program = "import pages, sys; print(pages.made(pages.Path(sys.argv[1]), {}, pages.shared()))"
    python = [sys.executable, "-B"]
    made = subprocess.run(
        [*python, "-c", program, page], cwd=tmp_path / "book", capture_output=True, text=True, check=True
    )
    notebook.metadata |= {"made_from": made.stdout.strip(), "seconds": [1.0]}
    cell.outputs = answer(computed)
    (tmp_path / "_build/source/notebooks").mkdir(parents=True)
    nbformat.write(notebook, tmp_path / "_build/source/notebooks/results.ipynb")
    pytest_run = [*python, "-m", "pytest", "--nbval", "-o", "pythonpath=book", "--rootdir", ".", str(page)]
    done = subprocess.run(pytest_run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stdout
    assert ("Cell outputs differ" in done.stdout) == bool(code)


def test_a_committed_page_is_written_whole_or_stays_as_it_was(small_book, monkeypatch, tmp_path):
    ran(small_book, monkeypatch)
    before = {path: path.read_bytes() for path in small_book.notebooks()}

    def half(notebook, path):
        Path(path).write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(nbformat, "write", half)
    with pytest.raises(KeyboardInterrupt):
        small_book.keep()
    assert before == {path: path.read_bytes() for path in (tmp_path / "notebooks").iterdir()}


def test_seconds_are_kept_when_asked_for(small_book, monkeypatch, tmp_path):
    ran(small_book, monkeypatch)
    assert json.loads((tmp_path / "book" / "seconds.json").read_text())["10_a"] == [3, 4]
    small_book.keep_seconds()
    kept = json.loads((tmp_path / "book" / "seconds.json").read_text())
    assert kept == {"10_a": [1.0], "results": [1.0]}


def test_a_page_has_grown_when_its_share_has_by_half():
    grown, known = pages.grown, {"a": 100.0, "b": 50.0, "c": 1.0, "gone": 7.0}
    assert grown({page: 3 * known[page] for page in "abc"}, known) == []  # a slower machine
    assert grown({"a": 100, "b": 80, "c": 1}, known) == []
    assert grown({"a": 100, "b": 120, "c": 1}, known) == ["b"]
    assert grown({"a": 100, "b": 50, "c": 2, "new": 9}, known) == []  # too short to matter, and not known
    assert grown({"a": 100, "b": 50, "c": 9}, known) == ["c"]


def test_no_page_has_grown_without_a_word():
    """`make notebooks` notes what a page took; `make clean notebooks seconds` accepts it."""
    known = {page: sum(cells) for page, cells in json.loads((ROOT / "book/seconds.json").read_text()).items()}
    assert list(known) == [path.stem for path in pages.notebooks()]
    noted = {p.stem: nbformat.read(p, as_version=4).metadata.get("seconds") for p in pages.notebooks()}
    assert pages.grown({page: seconds for page, seconds in noted.items() if seconds}, known) == []


def simulated(progress, predicted, real, processes, at):
    """What the bar forecasts at some times of a run whose cells take ``real`` seconds, and how long it takes."""
    now, waiting, left, running, said = 0.0, list(predicted), {p: list(real[p]) for p in real}, {}, {}
    bar = progress(predicted, processes, io.StringIO(), lambda: now)
    while waiting or running:
        while waiting and len(running) < processes:
            page = waiting.pop(0)
            bar.page_begins(page)
            running[page] = now + left[page].pop(0)
        page = min(running, key=running.get)
        for now in [t for t in at if now <= t < running[page]]:
            said[now] = now + bar.state()[1]
        now = running[page]
        bar.cell_ends(page)
        if left[page]:
            running[page] = now + left[page].pop(0)
        else:
            del running[page]
            bar.page_ends(page)
    return said, now


@pytest.mark.parametrize("slower", [0.5, 1, 2])
def test_after_a_minute_the_forecast_is_within_a_quarter(slower):
    """17 pages, an import and 12 cells each, on a machine of another speed; a cell is off by a quarter more or less."""
    errors = []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        share = np.sort(draw.pareto(1.5, 17) + 0.1)[::-1]
        share = np.minimum(share, share.sum() / 5)
        cells = lambda s: [5, *(2300 * s / share.sum() * draw.dirichlet(np.ones(12)))]
        predicted = {str(i): cells(s) for i, s in enumerate(share)}
        real = {page: [slower * s * draw.lognormal(0, 0.25) for s in of] for page, of in predicted.items()}
        said, took = simulated(Progress, predicted, real, 2, at=[60])
        errors.append(abs(said[60] / took - 1))
    assert np.median(errors) < 0.25


def test_where_there_is_no_terminal_a_line_says_what_runs():
    now, out = 0.0, io.StringIO()
    bar = Progress({"a": [30, 30], "b": [60]}, 1, out, lambda: now)
    bar.page_begins("a")
    bar.show()
    assert out.getvalue() == ""
    now = 31.0
    bar.cell_ends("a")
    bar.show()
    assert out.getvalue() == " 25%, 0 of 2 pages, 2 min left: a\n"
    now = 46.0
    assert bar.state()[0] == pytest.approx(45 / 120, abs=0.01)  # it moves within a cell too


def test_an_unchanged_book_is_not_built_again(monkeypatch, tmp_path):
    source, built, read = tmp_path / "_build" / "source", [], []
    (source / "book").mkdir(parents=True)
    (source / "book" / "page.md").write_text("prose")
    (tmp_path / "requirements.lock").touch()

    def render(builder, source, anew):
        built.append(builder)
        read.append(anew)
        page = tmp_path / "_build" / builder / "index.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text('<a href="#nowhere">' if (source / "book" / "fault.md").exists() else "")

    for module in (build, pages):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(build, "render", render)
    monkeypatch.setattr(assemble, "assemble", lambda folder, cache: None)
    both = lambda: [build.build(source, builder, False) for builder in ("html", "singlehtml")]
    assert both() == both() == [0, 0] and built == ["html", "singlehtml"]
    (source / "book" / "page.md").write_text("better prose")
    assert both() == [0, 0] and len(built) == 4
    assert build.build(source, "html", fresh=True) == 0 and len(built) == 5
    assert read == [True, False, True, False, True]  # twice the second goes on from the first
    (source / "book" / "fault.md").touch()
    assert both() == both() == [1, 1] and len(built) == 9  # until it has no fault
    monkeypatch.setattr(assemble, "assemble", lambda folder, cache: "no network")
    (source / "book" / "fault.md").unlink()
    assert both() == [0, 0] and both() == [0, 0] and built.count("html") == 7  # until it has its playground


BUILD_SMALL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
import build, pages
build.ROOT = pages.ROOT = Path(sys.argv.pop(1))
build.SOURCE = pages.SOURCE = pages.ROOT / "_build" / "source"
pages.kernels.IMPORTS = "json"
build.hold = lambda: None  # make test has this folder, and this build works in another
sys.exit(build.main())
"""


def wait_for(path, process):
    for _ in range(6000):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"{path} does not come")


def test_ctrl_c_is_one_sentence_and_leaves_no_kernel(tmp_path):
    write_small_book(tmp_path)
    pid = (
        "import os; from pathlib import Path; Path('t').write_text(str(os.getpid())); os.rename('t', 'pid')\n"
    )
    edit(tmp_path, "results", "print(7)", json.dumps(pid + "while True: pass")[1:-1])
    command = [sys.executable, "-c", BUILD_SMALL, str(ROOT / "book"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as building:
        wait_for(tmp_path / "_build" / "source" / "notebooks" / "pid", building)
        building.send_signal(signal.SIGINT)
        out, error = building.communicate()
    assert building.returncode == 130 and out == ""
    assert error == "\nbuild: interrupted; pages that had ended are kept\n"
    kernel = int((tmp_path / "_build" / "source" / "notebooks" / "pid").read_text())
    assert not psutil.pid_exists(kernel)


def test_of_two_at_once_the_second_waits_with_a_sentence(tmp_path):
    alone = tmp_path / "alone.py"
    alone.write_bytes((ROOT / "book" / "alone.py").read_bytes())
    begin = lambda *command: subprocess.Popen(
        [sys.executable, str(alone), *command], stdout=subprocess.PIPE, text=True
    )
    first = begin(
        "sh", "-c", f"touch '{tmp_path}/begun'; while [ ! -e '{tmp_path}/end' ]; do sleep 0.1; done"
    )
    wait_for(tmp_path / "begun", first)
    second = begin("sh", "-c", f"[ -e '{tmp_path}/end' ] && echo after")
    assert second.stdout.readline().startswith("Another make works in this folder")
    (tmp_path / "end").touch()
    assert second.communicate()[0] == "after\n" and second.returncode == 0 and first.wait() == 0
    first.stdout.close()


SOUND = '<a id="there" href="#there"></a><a href="b.html#two">b</a><img src="x.png" alt="a cross">'


@pytest.mark.parametrize(
    "html, fault",
    [
        (SOUND, None),
        ('<a href="https://example.org/elsewhere">a link is no request</a>', None),
        ('<script src="https://example.org/x.js"></script>', "another host"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "another host"),
        ("<style>@import 'https://example.org/x.css'</style>", "another host"),
        ('<p style="background: url(https://example.org/x.png)">', "another host"),
        ('<a href="#nowhere">', "#nowhere leads nowhere"),
        ('<a href="b.html#one">', "b.html#one leads nowhere"),
        ('<a href="c.html">', "c.html leads nowhere"),
        ('<img src="y.png" alt="a picture">', "y.png leads nowhere"),
        ('<img src="x.png">', "without a text"),
        ('<img src="x.png" alt="x.png">', "without a text"),
    ],
)
def test_faults_of_a_page_are_found(html, fault, tmp_path):
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<p id="two">')
    (tmp_path / "x.png").touch()
    found = build.faults(tmp_path)
    assert len(found) == (fault is not None) and (not found or fault in found[0])


def test_a_folder_without_pages_and_a_style_sheet_from_elsewhere_are_faults(tmp_path):
    assert "no page" in build.faults(tmp_path)[0]
    (tmp_path / "a.html").touch()
    (tmp_path / "a.css").write_text("@font-face{src:url(https://example.org/font.woff2)}")
    assert "another host" in build.faults(tmp_path)[0]


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("pictures", "3", "parameter: 'pictures'"),
        ("prior", "nowhere", "prior: 'nowhere'"),
        ("device", "tpu", "device"),
    ],
)
def test_a_wrong_parameter_is_one_sentence_and_exit_code_2(monkeypatch, capsys, name, value, said):
    monkeypatch.setattr(sys, "argv", ["build.py", "-p", name, value])
    assert build.main() == 2
    error = capsys.readouterr().err
    assert error.startswith(f"build: {said}") and len(error.strip().splitlines()) == 1
