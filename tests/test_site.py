"""The built site: no warning, no fault; and, where a browser is installed, its pages at work in it."""

import base64
import contextlib
import functools
import io
import json
import shutil
from pathlib import Path

import build
import numpy as np
import pytest
import torch
from examples import loaded, seeded
from PIL import Image

from frugal import RestorationPipeline, Settings, images, metrics, operators
from frugal.samplers.walk import last, walk
from play.assemble import assemble

ROOT = Path(__file__).resolve().parent.parent
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
STEPS, SIGMA = 10, 0.01
SAVES_DATA = "Object.defineProperty(navigator, 'connection', {value: {saveData: true}})"
DONE = "document.querySelector('#play-told').textContent.startsWith('Done')"


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """(sources, where they are built, pages in HTML): of `make book` where it stands, else of the committed pages."""
    source, target, pages = build.SOURCE, ROOT, ROOT / "_build" / "html"
    if "html" not in build.built(build.made_from()):
        target = tmp_path_factory.mktemp("book")
        source = target / "source"
        build.pages.committed(source)
        if missing := assemble(source / "book" / "_static" / "playground", ROOT / "_build" / "engine"):
            print(missing)
        pages = build.render("html", source, target).parent
    return source, target, pages


@pytest.fixture(scope="module")
def site(book, tmp_path_factory):
    """The folder of the pages in HTML, and one more, of the experiments, beside them."""
    folder = tmp_path_factory.mktemp("site")
    for part in book[2].iterdir():
        (folder / part.name).symlink_to(part)
    (folder / "experiments.html").write_text(loaded(ROOT / "book" / "play" / "stored.py").page())
    return folder


def test_the_pages_are_built_without_a_warning_and_without_a_fault(book):
    assert (book[2] / "index.html").exists() and build.faults(book[2]) == []


def test_so_is_the_one_page_for_paper(book):
    page = build.render("singlehtml", *book[:2], anew=False)
    assert page.exists() and build.faults(page.parent) == []


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def open_page(browser, site, stack, name, width=1280, script=SAVES_DATA, choices=""):
    """A page of the book, from a file and without a network, with what goes wrong in it, until ``stack`` ends.

    Its reader saves data: nothing runs before a button is pressed.
    """
    context = stack.enter_context(browser.new_context(viewport={"width": width, "height": 900}, offline=True))
    context.add_init_script(script)
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda m: m.type == "error" and page.wrong.append(m.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda r: r.url.startswith("http") and page.wrong.append(f"request: {r.url}"))
    page.goto((site / f"{name}.html").as_uri() + choices)
    page.set_default_timeout(300_000)
    return page


@pytest.fixture
def opened(browser, site):
    """(name, width, script, choices) -> ``open_page``."""
    with contextlib.ExitStack() as stack:
        yield functools.partial(open_page, browser, site, stack)


@pytest.fixture(scope="module")
def playground(browser, site, engine):
    """The playground's page with its engine loaded, which takes seconds."""
    with contextlib.ExitStack() as stack:
        page = open_page(browser, site, stack, "book/playground")
        page.evaluate("frugalPlayground.load()")
        yield page


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
def engine(site):
    """Skips, aloud, where the engine's package could not be fetched."""
    if not (site / "_static" / "playground" / "engine.js").exists():
        pytest.skip("the playground's engine could not be fetched")


@in_a_browser
@pytest.mark.parametrize("method", ["spectral", "dps", "dmps", "hybrid"])
def test_the_playground_restores_what_the_library_does_from_the_same_noise(playground, method):
    pipe = RestorationPipeline.from_pretrained()
    schedule = pipe.schedule(method, STEPS)
    m = operators.make("inpaint-box").measure(images.shipped("faces", limit=1), SIGMA, seeded(1))
    settings = pipe.complete(Settings(steps=STEPS), method, "inpaint-box")
    step = pipe.step(method, settings, schedule, (3, 64, 64))
    noise = torch.randn(3 * STEPS + 1, 1, 3, 64, 64, generator=seeded(2))
    x = last(walk(step, schedule, m, iter(noise).__next__)).x
    own = {"name": method, "switch": settings.switch, "zeta": settings.zeta, "lam": settings.lam}
    job = {"task": "inpaint", "sigma": SIGMA, "steps": STEPS, "seed": 0, "draws": 1, "methods": [own]}
    job["seen"] = (~operators.patterns.box_mask((3, 64, 64))).int().flatten().tolist()
    job |= {"x0": images.shipped("faces", limit=1).flatten().tolist(), "y": m.y.flatten().tolist()}
    job["noise"] = noise.flatten(1).tolist()
    ours = playground.evaluate(
        """async (text) => {
            await frugalPlayground.restore(JSON.parse(text));
            return Array.from(frugalPlayground.last().draws[0][0]);
        }""",
        json.dumps(job),  # a text is given four times as fast as its numbers
    )
    ours = torch.tensor(ours).reshape(x.shape)
    print(
        f"{method}: at most {(ours - x).abs().max():.1e} from the library, {metrics.psnr(ours, x).item():.0f} dB"
    )
    # A number of the guess that is clipped here and not there changes DPS's gradient around it.
    assert metrics.psnr(ours, x) > 50 and playground.wrong == []


@in_a_browser
def test_the_playground_is_played_by_keyboard(opened, engine):
    page = opened("book/playground", choices="#task=inpaint")
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
    page.wait_for_function(DONE)
    page.focus("#play-frame")
    page.keyboard.press("Home")
    assert page.inner_text("#play-frame-now") == "k = 10"
    page.focus("#play-replay")
    page.keyboard.press("Enter")
    assert page.inner_text("#play-replay") == "Pause"
    page.keyboard.press("Enter")
    assert page.inner_text("#play-replay") == "Play the film" and page.wrong == []


@in_a_browser
def test_a_run_is_stopped_and_another_follows(opened, engine):
    page = opened("book/playground")
    page.select_option("#play-steps", "100")
    page.click("#play-go")
    page.wait_for_function("document.querySelector('#play-now').textContent.startsWith('Pass 4')")
    page.click("#play-stop")
    assert page.inner_text("#play-told").startswith("Stopped.")
    with page.expect_download() as saved:
        page.click("#play-save")
    assert Image.open(saved.value.path()).height > 256
    page.select_option("#play-steps", "10")
    page.select_option("#play-draws", "2")
    page.select_option("#play-second", "")
    page.click("#play-go")
    page.wait_for_function(DONE)
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
    page = opened("book/playground", choices="#task=inpaint")
    for field, wrong, right, sentence in (
        ("#play-sigma", "-1", "0.01", "The noise σ has to lie between 0 and 1."),
        ("#play-sigma", "", "0.01", "The noise σ has to lie between 0 and 1."),
        ("#play-seed", "", "0", "The seed has to be a whole number from 0 to 999999."),
    ):
        page.fill(field, wrong)
        page.press(field, "Enter")
        assert page.inner_text("#play-told") == sentence
        page.fill(field, right)
    page.evaluate("frugalPlayground.seen.fill(0)")
    page.click("#play-go")
    assert page.inner_text("#play-told") == "Everything is hidden; leave at least one pixel."


def pixels(page, canvas):
    """What a canvas shows."""
    return page.evaluate(f"document.querySelector('{canvas}').toDataURL()")


@in_a_browser
def test_what_the_samplers_are_given_is_that_of_the_picture_that_stands_there(opened, engine):
    page = opened("book/playground", choices="#task=inpaint")
    page.wait_for_function("frugalPlayground.seen.includes(0)")
    shown = [pixels(page, "#play-seen")]
    page.check("input[name=play-face][value='2']", force=True)
    page.wait_for_function(f"document.querySelector('#play-seen').toDataURL() !== '{shown[0]}'")
    shown.append(pixels(page, "#play-seen"))
    page.select_option("#play-task", "sr4")
    shown.append(pixels(page, "#play-seen"))
    page.fill("#play-sigma", "0.5")
    page.press("#play-sigma", "Tab")
    shown.append(pixels(page, "#play-seen"))
    assert len(set(shown)) == 4


@in_a_browser
def test_a_fast_stroke_has_no_gaps_and_a_picture_of_ones_own_frames_no_face(opened, engine):
    page = opened("book/playground", choices="#task=inpaint")
    page.click("#play-clear")
    page.locator("#play-picture").scroll_into_view_if_needed()
    box = page.locator("#play-picture").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 5, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, middle)  # one event for the whole way
    page.mouse.up()
    assert page.evaluate("frugalPlayground.seen.slice(32 * 64, 33 * 64).filter((value) => value).length") < 8
    page.set_input_files("#play-file", ROOT / "frugal" / "pictures" / "faces" / "00.png")
    page.wait_for_function("!document.querySelector('input[name=play-face]:checked')")
    page.check("input[name=play-face][value='1']", force=True)


@in_a_browser
def test_a_link_shows_what_its_sender_saw_and_runs_by_itself(opened, engine):
    sender = opened("book/playground", choices="#task=inpaint")
    sender.wait_for_function("frugalPlayground.seen.includes(0)")
    for name, choice in (("steps", "10"), ("first", "spectral"), ("second", "dmps")):
        sender.select_option(f"#play-{name}", choice)
    sender.fill("#play-seed", "3")
    sender.press("#play-seed", "Enter")
    sender.wait_for_function(DONE)
    reader = opened("book/playground", script="", choices="#" + sender.url.split("#")[1])
    reader.wait_for_function(DONE)
    for canvas in (
        "#play-seen",
        "#play-methods figure:first-child canvas",
        "#play-methods figure + figure canvas",
    ):
        assert pixels(reader, canvas) == pixels(sender, canvas)
    assert sender.wrong == reader.wrong == []


def picture(address):
    """A picture that an address holds, (1, 3, 64, 64) in [-1, 1]."""
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


@in_a_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_an_experiment_shows_a_stored_state_and_runs_to_the_same(opened, engine, width):
    page = opened("experiments", width)
    page.wait_for_function("window.frugalLive?.race")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    before = page.evaluate("frugalLive.centre.state()")
    page.evaluate("frugalLive.centre.run()")
    after = page.evaluate("frugalLive.centre.state()")
    assert before["told"] == after["told"] != ""
    for old, new in zip(before["shown"], after["shown"], strict=True):
        assert metrics.psnr(picture(old["address"]), picture(new["address"])) > 40
    assert page.wrong == []


@in_a_browser
def test_an_experiment_is_moved_by_keyboard_and_another_one_stops_it(opened, engine):
    page = opened("experiments")
    page.wait_for_function("window.frugalLive?.race")
    told = lambda name: page.inner_text(f"[data-experiment={name}] .live-told")
    page.focus("[data-experiment=centre] input[type=range]")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('[data-experiment=centre] .play-main').hidden")
    page.click("[data-experiment=switch] .play-main")
    page.wait_for_function("!document.querySelector('[data-experiment=centre] .play-main').hidden")
    assert told("centre").startswith("Stopped")
    page.click("[data-experiment=switch] button:visible:has-text('Stop')")
    assert told("switch") == "Stopped." and page.wrong == []
