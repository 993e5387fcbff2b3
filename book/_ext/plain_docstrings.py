"""Sphinx extension: show the library's docstrings as they are written, line by line."""


def as_lines(app, what, name, obj, options, lines):
    """Put every docstring line but blank ones behind '| ', reStructuredText's line block."""
    text = [
        line.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|").replace("_", "\\_")
        for line in lines
    ]
    lines[:] = [f"| {line}" if line else "" for line in text]


def setup(app):
    app.connect("autodoc-process-docstring", as_lines)
    return {"parallel_read_safe": True}
