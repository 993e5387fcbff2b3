def pytest_collectstart(collector):
    """nbval compares every text output; progress bars, on stderr, are not results."""
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)
