"""Cut photographs out of folders to the frame and size of a prior, as small files to train on.

    python pack_pictures.py SHARP:140 SOFT:70 --size 128 --out PACKED

makes PACKED/SHARP and PACKED/SOFT, of each picture the centred square of so many pixels. A file name counts once, in
the first folder that has it. What is there already is not made again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from frugal import images
from frugal.base.checks import Refusal
from frugal.base.files import whole

QUALITY = 90  # of WebP


def pack(sources: Sequence[tuple[Path, int]], size: int, out: Path) -> None:
    """Write the pictures of every (folder, side of the square) into a folder of the same name in ``out``.

    Raises Refusal as ``images.find`` and ``images.load`` do.
    """
    taken: set[str] = set()
    for folder, crop in sources:
        (out / folder.name).mkdir(parents=True, exist_ok=True)
        for path in tqdm([path for path in images.find(folder) if path.name not in taken], desc=folder.name):
            taken.add(path.name)
            file = out / folder.name / f"{path.stem}.webp"
            if not file.exists():
                picture = Image.fromarray(images.to_uint8(images.load(path, size, crop)))
                with whole(file) as partial:
                    picture.save(partial, format="WEBP", quality=QUALITY)


def source(text: str) -> tuple[Path, int]:
    """FOLDER:SIDE."""
    folder, _, crop = text.rpartition(":")
    return Path(folder), int(crop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=source, nargs="+", metavar="FOLDER:SIDE")
    parser.add_argument("--size", type=int, required=True, help="side of the packed pictures, in pixels")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        pack(args.sources, args.size, args.out)
    except Refusal as error:
        parser.exit(2, f"pack_pictures: {error}\n")
