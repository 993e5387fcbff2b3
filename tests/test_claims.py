"""The poster's claims: every one has a page, the measured ones a verdict by one rule."""

from pathlib import Path

import nbformat
import pytest

from frugal.results.claims import CLAIMS, COMPARISONS, Claim, Comparison, against_dps, agreement, holds
from frugal.results.rows import Measured, measured

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "book" / "measured"


@pytest.mark.parametrize(
    "poster, verdict, word",
    [
        ("better", "better", "agrees"),
        ("worse", "worse", "agrees"),
        ("better", "worse", "disagrees"),
        ("better", "level", "disagrees"),
        ("worse", "mixed", "disagrees"),
        ("better", "not enough faces", "open"),
    ],
)
def test_a_comparison_agrees_with_the_poster_or_not(poster, verdict, word):
    assert agreement(poster, verdict) == word


@pytest.mark.parametrize(
    "said, word",
    [
        (["agrees", "agrees"], "holds"),
        (["agrees", "open"], "not enough faces"),
        (["agrees", "open", "disagrees"], "does not hold"),
    ],
)
def test_a_claim_holds_where_every_comparison_agrees(said, word):
    assert holds(said) == word


def test_a_claim_has_a_verdict_for_each_thing_it_says():
    two = Claim("", ("10",), decided={"better": ("a",), "cheaper": ("b", "c")})
    said = two.verdicts({"a": "agrees", "b": "agrees", "c": "disagrees"})
    assert said == {"better": "holds", "cheaper": "does not hold"}
    assert Claim("", ("01",)).verdicts({}) == {"": "holds"}


def test_the_hybrid_is_compared_with_dps_in_three_ways():
    found = against_dps(measured("switches", FOLDER).of(task="sr4"), 5)
    pairs = {equal: (gaps["psnr"].ours, gaps["psnr"].theirs) for equal, gaps in found.items()}
    equal_cost = ("own 5", "equal 5")
    assert pairs == {"same ζ": ("same 5", "dps"), "own ζ": ("own 5", "dps"), "equal cost": equal_cost}


def file_of(*rows):
    return lambda name: Measured(rows, {}, {})


def row(method, psnr, lpips, i):
    return {
        "image": str(i),
        "method": method,
        "task": "sr4",
        "psnr": psnr + 0.01 * i,
        "lpips": lpips + 0.0001 * i,
    }


def test_a_comparison_goes_by_the_metrics_that_the_claim_speaks_of():
    """Better by a decibel and worse by .1 of LPIPS."""
    rows = [row("dps", 20, 0.1, i) for i in range(3)] + [row("hybrid", 21, 0.2, 2 * i) for i in range(3)]
    rows = [{**one, "image": str(i % 3)} for i, one in enumerate(rows)]
    for metrics, word in ((("psnr",), "better"), (("lpips",), "worse"), (("psnr", "lpips"), "mixed")):
        comparison = Comparison("better", "any", {"task": "sr4"}, "hybrid", metrics=metrics)
        assert comparison.says(comparison.gaps(file_of(*rows))) == word


def test_a_reference_may_stand_in_another_file_and_counts_on_the_same_pictures_only():
    ours = file_of(*(row("first", 20, 0.1, i) for i in range(2)))
    theirs = file_of(*(row("dps", 20, 0.1, i) for i in range(5)))
    comparison = Comparison("better", "rule", {}, "first", beside=("switches", {"task": "sr4"}))
    rows = comparison.rows(lambda name: {"rule": ours, "switches": theirs}[name](name))
    assert len(rows.of(method="dps")) == 2 == rows.gap("first", "dps", "psnr").n


def test_the_published_differences_are_those_of_the_table():
    first = Comparison("worse", "", {}, "dmps", published="dmps")
    assert first.expected() == {"psnr": -3.74, "lpips": 0.16}
    assert Comparison("worse", "", {}, "dmps").expected() == {}


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_of_the_book_has_its_rows(name):
    gaps = COMPARISONS[name].gaps(lambda file: measured(file, FOLDER))
    assert {*COMPARISONS[name].metrics} <= {*gaps} and all(gap.n >= 8 for gap in gaps.values())


def test_every_comparison_decides_a_claim_or_stands_beside_one_that_does():
    used = {name for claim in CLAIMS.values() for names in claim.decided.values() for name in names}
    assert used <= COMPARISONS.keys() and list(CLAIMS) == list(range(1, 30))
    beside = COMPARISONS.keys() - used
    assert all("CelebA-HQ" in name or name == "hybrid − DPS, inpainting" for name in beside)


def test_the_page_has_every_claim_under_its_number_with_its_words_and_pages():
    cells = nbformat.read(ROOT / "notebooks" / "results.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown").splitlines()
    for number, claim in CLAIMS.items():
        assert all(list((ROOT / "notebooks").glob(f"{page}_*.ipynb")) for page in claim.pages)
        if not claim.decided:  # the others stand in a table that is made from these data
            (line,) = [one for one in text if one.startswith(f"| {number} |")]
            assert claim.says in line and all(f"{page}_" in line for page in claim.pages), number
