def pytest_collectstart(collector):
    """nbval compares every text output; progress bars, on stderr, are none of the results."""
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)
