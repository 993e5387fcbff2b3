"""Files are written whole or not at all; a full disk is one sentence, and so is a damaged file."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from .checks import Refusal

# Of a file that is read.
DAMAGE = (
    OSError,
    SafetensorError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what can go wrong while ``path`` is written into one sentence, a Refusal."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refusal(
            f"out: {path} cannot be written ({reason}); free space or give another folder"
        ) from None


@contextmanager
def understood(sentence: str) -> Iterator[None]:
    """Turn what can go wrong while a file is read and its content looked at into a Refusal with this sentence."""
    try:
        yield
    except DAMAGE:
        raise Refusal(sentence) from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its place at the end: whole or not at all.

    Raises Refusal where the disk is full or the folder cannot be written to; ``path`` is then as before.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with explained(path):
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):  # it has become the file, or was never made
            partial.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Of the processes that ask for this in one folder, one at a time goes on; all do where there are no locks."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(ImportError, OSError):  # on Windows, and on some network file systems
            import fcntl

            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as JSON, whole or not at all, with a line for each row of its tables: its lists of mappings.

    Raises Refusal as ``whole`` does.
    """
    is_table = lambda part: isinstance(part, list) and part and all(isinstance(row, dict) for row in part)
    inside = content if isinstance(content, dict) else {}
    tables = {name: part for name, part in inside.items() if is_table(part)}
    text = json.dumps({**inside, **dict.fromkeys(tables, [])} if tables else content, indent=1)
    for name, table in tables.items():
        rows = ",\n".join(f"  {json.dumps(row)}" for row in table)
        # With its indent of one, this is the content's own key, and not one further inside.
        text = text.replace(f'\n "{name}": []', f'\n "{name}": [\n{rows}\n ]', 1)
    with whole(path) as partial:
        partial.write_text(text + "\n")
