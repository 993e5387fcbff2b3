"""What nbval compares committed pages with: a run of its own, or the one by which `make book` ran them unchanged."""

import os
from functools import partial

from nbval.plugin import IPyNbCell, coalesce_streams

import pages


def pytest_collectstart(collector):
    """nbval compares every text output; progress bars, on stderr, are not results."""
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)


def pytest_collection_modifyitems(items):
    """Pages that the book ran start no kernel. All are run again where nothing is kept, as with FRESH=1."""
    if not os.environ.get("FRUGAL_CHAINS"):
        return
    cells, library = (
        [item for item in items if isinstance(item, IPyNbCell)],
        pages.shared(),
    )
    for page in {cell.parent for cell in cells}:
        if outputs := pages.outputs_in_book(page.path, library):
            page.setup = page.setup_sanitize_files
            for cell in cells:
                if cell.parent is page:
                    cell.runtest = partial(compare, cell, outputs[cell.cell_num])


def compare(cell: IPyNbCell, outputs: list) -> None:
    """As nbval does after it has run a cell."""
    committed = coalesce_streams(cell.cell.outputs)
    if cell.options["check"] and not cell.compare_outputs(
        coalesce_streams(outputs), committed
    ):
        cell.raise_cell_error(
            "Cell outputs differ", "\n".join(cell.comparison_traceback)
        )
