"""The pages' experiments as they stand before anything is loaded: run once in a browser, written to live/stored.js.

python book/play/stored.py, after a change of the prior, the formulas or an experiment; needs Chromium and Playwright.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from frugal.base.files import whole  # noqa: E402
from frugal.results import merit  # noqa: E402
from frugal.results.rows import measured  # noqa: E402
from frugal.samplers import BEST, POSTER  # noqa: E402
from frugal.show import live  # noqa: E402
from play.assemble import assemble  # noqa: E402

BOOK = Path(__file__).resolve().parents[1]
STORED = BOOK / "_static" / "live" / "stored.js"
EXPERIMENTS = ("switch", "zeta", "collapse", "centre", "map", "plane", "race", "blind")
SIGMA = 0.01
PAGE = """<!doctype html><meta charset="utf-8"><body style="max-width:44rem">
{experiments}<script src="_static/live/live.js"></script>"""


def page(experiments: tuple[str, ...] = EXPERIMENTS) -> str:
    """A page with experiments and nothing else, beside _static."""
    rows = measured("frontier").of(pictures="faces", sigma=SIGMA)
    means = live.told("plane", merit.points(rows, (*POSTER, BEST), (10, 20, 40, 200))).data
    places = (f'<div class="frugal-experiment" data-experiment="{name}"></div>' for name in experiments)
    return PAGE.format(experiments="\n".join((means, *places)))


def main() -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder)
        shutil.copytree(BOOK / "_static", site / "_static")
        if missing := assemble(site / "_static" / "playground", BOOK.parent / "_build" / "engine"):
            raise SystemExit(missing)
        (site / "_static" / "live" / "stored.js").write_text("window.frugalStored = {};\n")
        (site / "index.html").write_text(page())
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 800, "height": 900})
        tab.set_default_timeout(1_200_000)
        tab.goto((site / "index.html").as_uri())
        tab.wait_for_function("window.frugalLive?.race")
        found = {}
        for name in EXPERIMENTS:
            print(name, flush=True)
            if name == "blind":  # its first pair
                tab.evaluate("void frugalLive.blind.run()")
                told = "document.querySelector('[data-experiment=blind] .live-told').textContent"
                tab.wait_for_function(f"{told}.includes('which is DPS')")
            else:
                tab.evaluate(f"frugalLive['{name}'].run()")
            found[name] = tab.evaluate(f"frugalLive['{name}'].state()")
        for name in ("blind", "race", "plane"):
            found[name]["told"] = ""  # seconds are those of a reader's machine
        browser.close()
    with whole(STORED) as partial:
        partial.write_text(f"window.frugalStored = {json.dumps(found, ensure_ascii=False)};\n")


if __name__ == "__main__":
    main()
