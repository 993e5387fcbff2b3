"""Damaged files of every kind that is read: each is read, or refused in one sentence, and nothing else happens.

FUZZ=10000 tries as many files; without it a few of each kind.
"""

import io
import json
import os
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from examples import saved
from PIL import Image

from frugal import RestorationPipeline, images, operators
from frugal.base.checks import Refusal
from frugal.photo import damage
from frugal.prior import step_sizes
from frugal.results import stored
from frugal.runs import kept
from frugal.training import data

COUNT = int(os.environ.get("FUZZ", 0))
SHARES = {"pictures": 0.5, "masks": 0.1, "results": 0.19}
SHARES |= {"configs": 0.03, "weights": 0.03, "arrays": 0.03, "chains": 0.03}  # configs of four kinds
FEW = {"pictures": 150, "masks": 30, "results": 100, "configs": 12, "weights": 6, "arrays": 60, "chains": 60}


def tries(kind):
    return round(COUNT * SHARES[kind]) or FEW[kind]


def mutated(content, chance):
    """Bytes with some of them changed, taken out, doubled, or all after a place cut off."""
    b = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        at, kind = chance.randrange(len(b)), chance.randrange(5)
        if kind == 0:
            b[at] = chance.randrange(256)
        elif kind == 1:
            del b[at : at + chance.randrange(1, 40)]
        elif kind == 2:
            b[at:at] = b[at : at + chance.randrange(1, 40)]
        elif kind == 3:
            b[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
        elif len(b) > 8:
            del b[at:]
        if not b:
            return b"\0"
    return bytes(b)


def changed(value, chance):
    """A JSON value with one of its parts replaced by something odd."""
    odd = [None, True, -1, 0, 1e308, "", "x" * 50, [], {}, [[]], {"a": 1}, 10**30, float("inf")]
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(odd)


def read_or_refused(function):
    """True where it was refused; anything but a result or a Refusal is passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function()
    except Refusal as refusal:
        assert "\n" not in str(refusal).strip()
        return True
    return False


def test_pictures(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    valid = []
    for kind, mode in (
        ("png", "RGBA"),
        ("png", "P"),
        ("jpeg", "RGB"),
        ("webp", "RGB"),
        ("bmp", "RGB"),
        ("tiff", "RGB"),
        ("gif", "P"),
    ):
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"a.{kind}")
        valid.append((kind, (tmp_path / f"a.{kind}").read_bytes()))
    refused = 0
    for i in range(tries("pictures")):
        chance = random.Random(i)
        kind, content = chance.choice(valid)
        file = tmp_path / f"b.{kind}"
        file.write_bytes(mutated(content, chance))
        refused += read_or_refused(lambda: (images.load(file, 8), images.about(file)))
    assert 0 < refused < tries("pictures")


def test_masks_and_kernels(tmp_path):
    images.save(images.shipped("faces", limit=1)[0], tmp_path / "photo.png")
    Image.fromarray(np.eye(64, dtype=np.uint8) * 255).save(tmp_path / "m.png")
    content = (tmp_path / "m.png").read_bytes()
    for i in range(tries("masks")):
        (tmp_path / "b.png").write_bytes(mutated(content, random.Random(i)))
        mask = lambda: damage.mask_of("inpaint", tmp_path / "photo.png", tmp_path / "b.png")
        read_or_refused(lambda: damage.operator("inpaint", (3, 64, 64), mask()))
        read_or_refused(lambda: damage.operator("deblur", (3, 64, 64), kernel=tmp_path / "b.png"))


def test_results(tmp_path):
    row = {"image": "a.png", "picture": "0", "task": "sr4", "method": "dps", "psnr": 20.0, "lpips": None}
    row |= {"seconds": 1.0, "nfe": 2, "backprops": 2, "switch": 0}
    valid = {"meta": {"task": "sr4", "seed": 0}, "rows": [row, row | {"image": "b.png"}]}
    for i in range(tries("results")):
        chance = random.Random(i)
        text = json.dumps(changed(valid, chance)).encode()
        (tmp_path / "r.json").write_bytes(mutated(text, chance) if chance.random() < 0.4 else text)

        def read():
            rows = stored.rows_so_far(tmp_path / "r.json", {"task": "sr4", "seed": 0})
            stored.in_order(rows)

        read_or_refused(read)


def small_prior(folder):
    """A small network with attention and step sizes of its own; (its folder, its text files)."""
    torch.manual_seed(0)
    unet = UNet2DModel(
        16,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    saved(RestorationPipeline(unet.eval(), DDPMScheduler()), folder)
    names = ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json", step_sizes.FILE]
    return folder, {name: (folder / name).read_text() for name in names}


def used(folder):
    """Load a prior, and do with it what a restoration does."""
    pipe = RestorationPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    m = operators.make("denoise", pipe.image_shape).measure(torch.zeros(1, *pipe.image_shape), 0.1)
    for method in ("hybrid", "spectral"):
        pipe(m, method, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["model_index", "config", "scheduler_config", "step_sizes"])
def test_configs_of_priors(name, tmp_path):
    folder, valid = small_prior(tmp_path / "prior")
    (file,) = (file for file in valid if Path(file).stem == name)
    assert not read_or_refused(lambda: used(folder))
    refused = 0
    for i in range(tries("configs")):
        chance = random.Random(i)
        text = json.dumps(changed(json.loads(valid[file]), chance)).encode()
        (folder / file).write_bytes(mutated(text, chance) if chance.random() < 0.3 else text)
        refused += read_or_refused(lambda: used(folder))
    assert 0 < refused


def test_weights_of_priors(tmp_path):
    """The header is damaged, which says where the tensors lie."""
    folder, _ = small_prior(tmp_path / "prior")
    weights = next(folder.glob("unet/*.safetensors"))
    content = weights.read_bytes()
    for i in range(tries("weights")):
        weights.write_bytes(mutated(content[:6000], random.Random(i)) + content[6000:])
        read_or_refused(lambda: used(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"layers_per_block": 10**30},
        {"layers_per_block": 99, "block_out_channels": [8192, 8192]},
        {"block_out_channels": [2**31, 16]},
        {"sample_size": 10**9},
        {"norm_num_groups": 0},
        {"norm_eps": None},
        {"attention_head_dim": 10**12},
        {"down_block_types": ["DownBlock2D"] * 10**5},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_network_that_does_not_fit_its_weights_is_refused_before_it_is_built(changes, tmp_path):
    folder, valid = small_prior(tmp_path / "prior")
    config = json.loads(valid["unet/config.json"]) | changes
    (folder / "unet" / "config.json").write_text(json.dumps(config))
    assert read_or_refused(lambda: used(folder))


def test_arrays_for_training(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((2, 8, 8, 3), np.uint8))
    content, refused = buffer.getvalue(), 0
    for i in range(tries("arrays")):
        (tmp_path / "a.npy").write_bytes(mutated(content[:140], random.Random(i)) + content[140:])
        refused += read_or_refused(lambda: data.read_pictures([tmp_path / "a.npy"], 8))
    assert 0 < refused < tries("arrays")


def test_a_kernel_as_long_as_memory_is_refused_by_its_header(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 16711685, 5, 8, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "k.png").write_bytes(png)
    with pytest.raises(Refusal, match="^kernel: shape .5, 16711685. does not fit"):
        damage.operator("deblur", (3, 64, 64), kernel=tmp_path / "k.png")


def test_chains(tmp_path):
    chain = {"x0": torch.zeros(3, 4, 4), "backprops": torch.tensor(3), "seconds": torch.tensor(1.0)}
    file = tmp_path / "a.safetensors"
    kept.keep(file, chain)
    content = file.read_bytes()
    assert torch.equal(kept.find(file)["x0"], chain["x0"])
    for i in range(tries("chains")):
        bad = mutated(content, random.Random(i))
        file.write_bytes(bad)
        assert (kept.find(file) is None) == (bad != content)
