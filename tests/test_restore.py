"""From pictures to rows: noise that belongs to the picture, and rows that say what made them."""

import torch
from examples import small_pipe

from frugal import Settings, images
from frugal.runs.chains import generators, measure
from frugal.runs.restore import compare, restore

FEW = Settings(steps=2)
METHODS = ("dps", "dmps", "hybrid")


def test_noise_belongs_to_the_picture_and_the_seed():
    x0 = images.shipped("faces", limit=3)
    y = measure(x0, "sr4", 1.0).y
    assert torch.equal(measure(x0[1:], "sr4", 1.0).y, y[1:])  # whatever lies beside it
    assert not torch.equal(measure(x0, "sr4", 1.0, seed=1).y, y)
    draw = lambda role: torch.stack([torch.randn(9, generator=g) for g in generators(0, x0, role)])
    noise = draw("sampler")
    assert torch.equal(noise, draw("sampler"))
    assert len({*map(tuple, noise.tolist()), *map(tuple, draw("measurement").tolist())}) == 6


def test_rows_say_what_made_them_and_every_method_sees_the_same_measurement():
    pipe = small_pipe(64)
    faces = images.named("faces", limit=2)
    rows, restored = compare(pipe, faces, "sr4", 0.01, FEW, METHODS, batch_size=1)
    assert [(row["image"], row["method"]) for row in rows] == [
        (name, method) for method in METHODS for name in faces
    ]
    assert [row["picture"] for row in rows.rows[:2]] == [images.digest(x) for x in faces.values()]
    assert [(row["backprops"], row["switch"], row["nfe"]) for row in rows.rows[::2]] == [
        (2, 0, 2),
        (0, 2, 2),
        (1, 1, 2),
    ]
    assert set(restored) == {"measured", *METHODS}
    x0 = torch.stack(list(faces.values()))
    again, _ = restore(pipe, x0, "sr4", "dps", 0.01, FEW)
    assert all(abs(a["psnr"] - b["psnr"]) < 1e-4 for a, b in zip(again, rows))
