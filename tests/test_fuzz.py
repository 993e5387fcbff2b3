"""Damaged files of every kind that is read: each is read, or refused in one sentence, and nothing else happens.

FUZZ=10000 tries as many files; without it a few of each kind.
"""

import json
import os
import random
import shutil
import warnings

import numpy as np
from PIL import Image

from frugal import RestorationPipeline, images, prior
from frugal.base.checks import Refusal
from frugal.photo import damage
from frugal.results import stored

COUNT = int(os.environ.get("FUZZ", 0))
SHARES = {"pictures": 0.6, "masks": 0.1, "results": 0.27, "priors": 0.03}
FEW = {"pictures": 150, "masks": 30, "results": 100, "priors": 4}


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


def test_priors(tmp_path):
    source = prior.SHIPPED / "faces64"
    shutil.copytree(
        source, tmp_path / "prior", ignore=shutil.ignore_patterns("*.safetensors", "*.md", "*.jsonl")
    )
    weights = next((source / "unet").glob("*.safetensors"))
    link = tmp_path / "prior" / "unet" / weights.name
    link.symlink_to(weights)
    names = ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json", "step_sizes.json"]
    valid = {name: (tmp_path / "prior" / name).read_text() for name in names}
    assert not read_or_refused(lambda: RestorationPipeline.from_pretrained(tmp_path / "prior"))
    for i in range(tries("priors")):
        chance = random.Random(i)
        name = chance.choice([*names, "weights"])
        if name == "weights":  # the header, which says where the tensors lie
            content = weights.read_bytes()
            link.unlink()
            link.write_bytes(mutated(content[:40000], chance) + content[40000:])
        else:
            text = json.dumps(changed(json.loads(valid[name]), chance)).encode()
            (tmp_path / "prior" / name).write_bytes(mutated(text, chance) if chance.random() < 0.3 else text)
        read_or_refused(lambda: RestorationPipeline.from_pretrained(tmp_path / "prior"))
        if name == "weights":
            link.unlink()
            link.symlink_to(weights)
        else:
            (tmp_path / "prior" / name).write_text(valid[name])
