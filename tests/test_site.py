"""The built site: no warning, no fault; and, where a browser is installed, its pages at work in it."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from examples import loaded, seeded

from frugal import RestorationPipeline, Settings, images, metrics, operators
from frugal.samplers import METHODS
from frugal.schedule import Schedule

ROOT = Path(__file__).resolve().parent.parent
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
STEPS, SIGMA = 10, 0.01


@pytest.fixture(scope="module")
def build():
    """The module book/build.py."""
    sys.path.insert(0, str(ROOT / "book"))
    yield loaded(ROOT / "book" / "build.py")
    sys.path.remove(str(ROOT / "book"))


@pytest.fixture(scope="module")
def source(build, tmp_path_factory):
    """The committed pages, and what other pages and the build add to them."""
    folder = tmp_path_factory.mktemp("site") / "source"
    for name in ("book", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    for path in ROOT.glob("_*.yml"):
        shutil.copy(path, folder)
    for name in ("table1.json", "hero.html", "front.html", "film.html"):  # which pages 10 and 07 write
        (folder / "notebooks" / name).touch()
    cache = ROOT / "_build" / "engine"
    if missing := build.assemble(folder / "book" / "_static" / "playground", cache):
        print(missing)
    return folder


@pytest.fixture(scope="module")
def site(build, source):
    """The folder of the pages in HTML."""
    return build.render("html", source, source.parent).parent


def test_the_committed_pages_are_built_without_a_warning_and_without_a_fault(build, site):
    assert (site / "index.html").exists() and build.faults(site) == []


def test_so_is_the_one_page_for_paper(build, source):
    page = build.render("singlehtml", source, source.parent)
    assert page.exists() and build.faults(page.parent) == []


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, site):
    """(name, width, script) -> a page of the book, from a file and without a network, with what went wrong on it."""
    contexts = []

    def open_page(name, width=1280, script=""):
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.wrong = []
        page.on("console", lambda m: m.type == "error" and page.wrong.append(m.text))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("request", lambda r: r.url.startswith("http") and page.wrong.append(f"request: {r.url}"))
        page.goto((site / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@in_a_browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "name", ["book/index", "book/playground", "notebooks/07_hybrid", "notebooks/results"]
)
def test_a_page_fits_its_window_asks_for_nothing_and_reports_no_error(opened, name, width):
    page = opened(name, width)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.wrong == []


@pytest.fixture(scope="module")
def engine(source):
    """Skips, aloud, where the engine's package could not be fetched."""
    if not (source / "book" / "_static" / "playground" / "engine.js").exists():
        pytest.skip("the playground's engine could not be fetched")


@in_a_browser
@pytest.mark.parametrize("method", ["spectral", "dps", "dmps", "hybrid"])
def test_the_playground_restores_what_the_library_does_from_the_same_noise(opened, engine, method):
    pipe = RestorationPipeline.from_pretrained()
    schedule = Schedule.from_scheduler(pipe.scheduler, STEPS)
    m = operators.make("inpaint-box").measure(images.shipped("faces", limit=1), SIGMA, seeded(1))
    settings = pipe.complete(Settings(steps=STEPS), method, "inpaint-box")
    given = pipe.arguments(method, settings, schedule, (3, 64, 64))
    noise = torch.randn(STEPS + 1, 1, 3, 64, 64, generator=seeded(2))
    x, _ = METHODS[method].sample(pipe.denoiser(schedule), schedule, m, iter(noise).__next__, **given)
    own = {"name": method, "switch": settings.switch, "zeta": settings.zeta, "lam": settings.lam}
    job = {"task": "inpaint", "sigma": SIGMA, "steps": STEPS, "seed": 0, "draws": 1, "methods": [own]}
    job["seen"] = (~operators.box_mask((3, 64, 64))).int().flatten().tolist()
    job |= {"x0": images.shipped("faces", limit=1).flatten().tolist(), "y": m.y.flatten().tolist()}
    page = opened("book/playground")
    page.set_default_timeout(300_000)
    ours = page.evaluate(
        """async ([job, noise]) => {
            await frugalPlayground.load();
            await frugalPlayground.restore({...job, noise});
            return Array.from(frugalPlayground.last().draws[0][0]);
        }""",
        [job, noise.flatten(1).tolist()],
    )
    ours = torch.tensor(ours).reshape(x.shape)
    print(
        f"{method}: at most {(ours - x).abs().max():.1e} from the library, {metrics.psnr(ours, x).item():.0f} dB"
    )
    # A number of the guess that is clipped here and not there changes DPS's gradient around it.
    assert metrics.psnr(ours, x) > 50 and page.wrong == []


@in_a_browser
def test_the_playground_is_played_by_keyboard(opened, engine):
    page = opened("book/playground")
    hidden = "frugalPlayground.seen.filter((value) => !value).length"
    page.focus("#play-picture")
    before = page.evaluate(hidden)
    for key in [*["ArrowLeft"] * 12, "Space"]:
        page.keyboard.press(key)
    assert page.evaluate(hidden) > before
    page.keyboard.press("Backspace")
    page.select_option("#play-steps", "10")
    page.select_option("#play-second", "")
    page.focus("#play-go")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('#play-told').textContent.startsWith('Done')", timeout=300_000
    )
    page.focus("#play-frame")
    page.keyboard.press("Home")
    assert page.inner_text("#play-frame-now") == "k = 10"
    page.focus("#play-replay")
    page.keyboard.press("Enter")
    assert page.inner_text("#play-replay") == "Pause"
    page.keyboard.press("Enter")
    assert page.inner_text("#play-replay") == "Play" and page.wrong == []


@in_a_browser
def test_a_run_is_stopped_and_another_follows(opened, engine):
    page = opened("book/playground")
    page.select_option("#play-steps", "100")
    page.click("#play-go")
    page.wait_for_function(
        "document.querySelector('#play-now').textContent.startsWith('Step 2')", timeout=300_000
    )
    page.click("#play-stop")
    page.wait_for_function("document.querySelector('#play-told').textContent === 'Stopped.'", timeout=60_000)
    page.select_option("#play-steps", "10")
    page.select_option("#play-draws", "2")
    page.select_option("#play-second", "")
    page.click("#play-go")
    page.wait_for_function(
        "document.querySelector('#play-told').textContent.startsWith('Done')", timeout=300_000
    )
    assert page.locator("#play-all figure").count() == 4 and page.wrong == []  # two draws, mean and spread


@in_a_browser
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("delete globalThis.WebAssembly", "WebAssembly is off in this browser"),
        ("delete globalThis.DecompressionStream", "it lacks DecompressionStream"),
        ("delete globalThis.Worker", "This browser runs no workers"),
    ],
)
def test_where_the_playground_cannot_run_it_says_why(opened, engine, script, sentence):
    page = opened("book/playground", script=script)
    assert sentence in page.inner_text("#play-cannot") and not page.is_visible("#play-form")


@in_a_browser
def test_bad_numbers_get_a_sentence(opened, engine):
    page = opened("book/playground")
    page.fill("#play-sigma", "-1")
    page.click("#play-go")
    assert page.inner_text("#play-told") == "The noise σ has to lie between 0 and 1."
    page.fill("#play-sigma", "0.01")
    page.evaluate("frugalPlayground.seen.fill(0)")
    page.click("#play-go")
    assert page.inner_text("#play-told") == "Everything is hidden; leave at least one pixel."
