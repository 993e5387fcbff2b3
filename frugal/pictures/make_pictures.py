"""Make the pictures that ship with the package, and synthetic faces for training.

Faces are drawn from MobileStyleGAN (S. Belousov, arXiv:2104.04767) as packed in ``random-face``:
synthetic portraits of nobody. The pictures out of distribution come from scikit-image's wheel.
Install first, in an environment of its own:

    pip install openvino==2026.4.1 numpy==2.4.6 pillow==13.0.0 scikit-image==0.26.0
    pip install --no-deps random-face==2021.7.21.1

Then

    python make_pictures.py                                    # rewrites faces*/ and out_of_distribution*/
    python make_pictures.py --training 10000 --out faces.npy   # uint8 array (10000, 64, 64, 3)
"""

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SIZE, LARGE = 64, 256  # sides of the shipped pictures; training faces have the first
TRUNCATION = (0.7, 0.85)  # range from which each face draws its own
SHIPPED_SEEDS = range(20)
TRAINING_SEED = 1_000_000  # training face i has seed TRAINING_SEED + i
MEAN_SEED = 2**32 - 1  # of the latents that estimate the mean style
SHARD = 250  # training faces a file while drawing

# FFHQ's alignment, which the generator learned, to the frame of CelebA's centre-140 crop:
# left, top, right, bottom in the 1024 x 1024 picture.
FACE_FRAME = (55, 10, 969, 924)

# Name in skimage.data, and the square to keep as (left, top, side) in its pixels.
OUT_OF_DISTRIBUTION = {
    "astronaut": ("astronaut", (0, 0, 512)),
    "brick": ("brick", (0, 0, 256)),
    "cat": ("cat", (85, 0, 300)),
    "coffee": ("coffee", (150, 0, 400)),
    "galaxies": ("hubble_deep_field", (100, 100, 500)),
    "photographer": ("camera", (0, 0, 512)),
    "retina": ("retina", (0, 0, 1411)),
    "rocket": ("rocket", (106, 0, 427)),
}


def latent(seed: int) -> tuple[np.ndarray, float]:
    """Latent z (1, 512), standard normal, and truncation of the face with that seed.

    RandomState, because numpy promises that its stream never changes.
    """
    random = np.random.RandomState(seed)
    z = random.standard_normal((1, 512)).astype(np.float32)
    return z, random.uniform(*TRUNCATION)


def generator(halved: bool = False) -> Callable[[int], Image.Image]:
    """Function from a seed to a face, PIL picture 1024 x 1024, or 512 x 512 when ``halved``.

    The synthesis network ends in an inverse Haar transform, whose low band over two is the mean of
    each 2 x 2 pixels. ``halved`` stops there: a quarter faster, and once shrunk the same to 42 dB.
    """
    import openvino

    networks = Path(find_spec("random_face").origin).parent / "data"
    core = openvino.Core()
    mapping, synthesis = (
        core.read_model(networks / f"{name}.xml") for name in ("MappingNetwork", "SynthesisNetwork")
    )
    if halved:
        bands = next(op for op in synthesis.get_ops() if op.get_friendly_name() == "Slice_764/Split")
        synthesis = openvino.Model([bands.output(0)], synthesis.get_parameters())
    # float32 asked for explicitly: processors with bfloat16 would otherwise round differently.
    mapping, synthesis = (
        core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        for network in (mapping, synthesis)
    )
    z = np.random.RandomState(MEAN_SEED).standard_normal((4096, 512)).astype(np.float32)
    mean = np.mean([mapping(row[None])[0] for row in z], axis=0)

    def draw(seed: int) -> Image.Image:
        z, truncation = latent(seed)
        style = mean + np.float32(truncation) * (mapping(z)[0] - mean)
        pixels = synthesis(style)[0][0].transpose(1, 2, 0) / (2 if halved else 1)
        return Image.fromarray(((pixels.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8))

    return draw


def shrink(picture: Image.Image, box: Sequence[int], size: int = SIZE) -> Image.Image:
    """Cut ``box`` (left, top, right, bottom) out of a picture and resize it to a square (Lanczos)."""
    return picture.convert("RGB").crop(box).resize((size, size), Image.Resampling.LANCZOS)


def shrink_face(picture: Image.Image, size: int = SIZE) -> Image.Image:
    """Cut the frame of CelebA's crop out of a generated face and resize it to a square."""
    return shrink(picture, [edge * picture.width // 1024 for edge in FACE_FRAME], size)


def write_sizes(name: str, file: str, shrunk: Callable[[int], Image.Image]) -> None:
    """A picture into the set ``name`` at 64 pixels, and into ``name``_256 at 256."""
    for folder, size in ((HERE / name, SIZE), (HERE / f"{name}_{LARGE}", LARGE)):
        folder.mkdir(exist_ok=True)
        write(folder / file, partial(shrunk(size).save, format="PNG"))


def write(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """Let ``save`` write a file, which appears when all of it is written."""
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        save(file)
    os.replace(part, path)


def write_faces() -> None:
    draw = generator()
    for number, seed in enumerate(SHIPPED_SEEDS):
        write_sizes("faces", f"{number:02d}.png", partial(shrink_face, draw(seed)))


def write_out_of_distribution() -> None:
    from skimage import data

    for name, (source, (left, top, side)) in OUT_OF_DISTRIBUTION.items():
        picture, box = Image.fromarray(getattr(data, source)()), (left, top, left + side, top + side)
        write_sizes("out_of_distribution", f"{name}.png", partial(shrink, picture, box))


def write_training(count: int, out: Path) -> None:
    """Draw ``count`` faces into ``out``; shards in ``out``.shards let an interrupted run go on."""
    shards = out.with_name(out.name + ".shards")
    shards.mkdir(exist_ok=True)
    paths, draw = [], None
    for start in range(0, count, SHARD):
        stop = min(start + SHARD, count)
        paths.append(shards / f"{start:07d}-{stop:07d}.npy")
        if paths[-1].exists():
            continue
        draw = draw or generator(halved=True)
        faces = [shrink_face(draw(TRAINING_SEED + i)) for i in range(start, stop)]
        write(paths[-1], partial(np.save, arr=np.stack(faces)))
        print(f"{stop} of {count} faces", flush=True)
    write(out, partial(np.save, arr=np.concatenate([np.load(path) for path in paths])))
    shutil.rmtree(shards)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the shipped pictures, or training faces.")
    parser.add_argument("--training", type=int, metavar="N", help="draw N training faces instead")
    parser.add_argument("--out", type=Path, metavar="FILE.npy", help="file for the training faces")
    args = parser.parse_args()
    if (args.training is None) != (args.out is None):
        parser.error("--training and --out: give both or neither")
    if args.out is None:
        return args
    if not 0 < args.training <= MEAN_SEED - TRAINING_SEED:
        parser.error(f"--training: {args.training} faces cannot be drawn; give a number above 0")
    if args.out.suffix != ".npy" or args.out.exists() or not args.out.parent.is_dir():
        parser.error(f"--out: {args.out} must be a new .npy file in a folder that exists")
    return args


if __name__ == "__main__":
    args = arguments()
    if args.training:
        write_training(args.training, args.out)
    else:
        write_faces()
        write_out_of_distribution()
