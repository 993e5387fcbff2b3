"""What nbval compares committed pages with: a run of its own, or the one by which `make book` ran them unchanged."""

from functools import partial
from itertools import groupby

from nbval.plugin import IPyNbCell, coalesce_streams

import pages


def pytest_collectstart(collector):
    """nbval compares every text output; progress bars, on stderr, are not results."""
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)


def pytest_collection_modifyitems(items):
    """Pages that the book ran start no kernel, as all of them in ``make test``."""
    cells = [item for item in items if isinstance(item, IPyNbCell)]
    library = pages.shared()
    for page, own in groupby(cells, lambda cell: cell.parent):
        if outputs := pages.outputs_in_book(page.path, library):
            page.setup = page.setup_sanitize_files
            for cell in own:
                cell.runtest = partial(compare, cell, outputs[cell.cell_num])


def compare(cell: IPyNbCell, outputs: list) -> None:
    """As nbval does after it has run a cell."""
    kept, committed = map(coalesce_streams, (outputs, cell.cell.outputs))
    if cell.options["check"] and not cell.compare_outputs(kept, committed):
        difference = "\n".join(cell.comparison_traceback)
        cell.raise_cell_error("Cell outputs differ", difference)
