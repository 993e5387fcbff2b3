"""Tables on a page: Markdown that Jupyter and the book render."""

from collections.abc import Iterable, Mapping, Sequence

from IPython.display import Markdown, display

from ..pipeline import RestorationPipeline
from ..results import tables
from ..results.rows import UNMEASURED, Gap, Row, Rows, measured
from ..results.statistics import together, with_interval


def table(columns: Sequence[object], rows: Sequence[Sequence[object]]) -> Markdown:
    """Names above, and under them the rows, text first and numbers after."""
    return Markdown(unbroken(tables.markdown(columns, rows)))


def summary(rows: Iterable[Row], caption: str = "", seconds: bool = False) -> Markdown:
    """``frugal.tables.summary`` of results, with a line above that says what they are; ``seconds`` if wanted."""
    text = unbroken(tables.summary(rows, seconds))
    return Markdown(f"{caption}\n\n{text}" if caption else text)


def stated(rows: Rows, method: str, key: str) -> str:
    """The mean of a method's column ``key`` with its 95 % interval; "not measured" where a number is missing."""
    return UNMEASURED if None in rows.values(method, key) else with_interval(rows.interval(method, key))


def in_short(gaps: Mapping[str, Gap]) -> str:
    """What {metric: gap} say together, and the means: ``worse: -0.38, +0.010`` for pSNR and LPIPS."""
    word = together(gap.verdict for gap in gaps.values())
    return f"{word}: {gaps['psnr'].mean:+.2f}, {gaps['lpips'].mean:+.3f}"


def unbroken(text: str) -> str:
    """The text with a space after a comma that no line is broken at: an interval stays in one piece."""
    return text.replace(", ", ",&nbsp;")


def of_another_prior(pipe: RestorationPipeline, *names: str) -> None:
    """Show a sentence that names the measured files of another prior than ``pipe`` has; nothing where there is none."""
    others = [name for name in names if measured(name).meta["prior_digest"] != pipe.digest()]
    if others:
        display(Markdown(f"Measured with another prior: {', '.join(others)}."))
