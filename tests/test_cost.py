"""Prices of network calls, the forecast made of them, and the switch that lowers them."""

import json
import re
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel
from examples import folder_of_faces, saved, small_pipe
from experiments import command, scale

from frugal import RestorationPipeline, Settings, images, metrics
from frugal.base import devices
from frugal.base.checks import Refusal
from frugal.base.devices import computes_bfloat16
from frugal.runs import cost, evaluate
from frugal.runs.restore import restore
from frugal.samplers import METHODS
from frugal.training.network import new_prior

TRUE = cost.Prices(forward=2e-3, product=3e-3, call=10e-3)


def test_prices_are_found_again(monkeypatch):
    """Times that follow Eq. 7b exactly give its prices back, and the prices give the times."""

    def as_they_follow(*runs, repeats):
        sizes = [run.args for run in runs]
        return [
            TRUE.seconds(pictures, cost.STEPS, cost.STEPS - switch, pictures) for pictures, switch in sizes
        ]

    monkeypatch.setattr(cost, "median_seconds", as_they_follow)
    found = cost.prices(small_pipe(), batch=4)
    assert vars(found) == pytest.approx(vars(TRUE))
    assert found.seconds(10, 100, 50, batch=4) == pytest.approx(10 * (0.2 + 0.15) + 3 * 100 * 0.01)


def test_processes_share_the_pictures_and_the_largest_share_takes_longest():
    """Seven pictures by three processes: three, in two batches of two."""
    assert TRUE.seconds(7, 100, 50, 2, processes=3) == pytest.approx(3 * (0.2 + 0.15) + 2 * 100 * 0.01)
    assert TRUE.of_work(4).seconds(1, 100, 50, 1) == pytest.approx(4 * (0.2 + 0.15) + 100 * 0.01)


def test_the_work_of_a_pass_is_that_of_its_convolutions():
    """small_pipe's by hand, 2 for a multiplication and an addition; what has no pixels is left out."""
    pixels, config = 32**2, small_pipe(32).unet.config
    convolutions = [(3, 8), (8, 3), *[(8, 8)] * 6, (16, 8), (8, 8), (16, 8), (8, 8)]
    by_hand = sum(2 * 9 * a * b for a, b in convolutions) * pixels + 2 * 2 * 16 * 8 * pixels
    assert cost.work(config, 32) == pytest.approx(by_hand, rel=0.01)
    assert cost.work(config, 64) == pytest.approx(4 * by_hand, rel=0.01)


def test_pictures_of_other_sizes_than_the_priors_can_be_timed():
    assert scale.restoration_of(small_pipe(32), "dps", 1, 16, 1).shape == (1, 3, 16, 16)


def test_the_large_network_is_that_of_ddpm_celebahq_256():
    with torch.device("meta"):
        assert sum(p.numel() for p in UNet2DModel.from_config(scale.LARGE).parameters()) == 113_673_219


def test_the_documented_prior_of_128_pixels_fits_its_file_and_its_time():
    """By the rate of the sixth part of faces64, in proportion to the operations of a pass."""
    root = Path(__file__).parents[1]
    command = next(
        line
        for line in (root / "book/reproduce.md").read_text().splitlines()
        if line.startswith("frugal train")
    )
    first, second = (dict(re.findall(r"--([a-z-]+) ([^-]+)", part)) for part in command.split("&&"))
    unet, _ = new_prior(int(first["size"]), [int(c) for c in first["channels"].split()], 0)
    assert 2 * sum(p.numel() for p in unet.parameters()) < 40e6
    card = (root / "frugal/priors/faces64/README.md").read_text()
    pictures, seconds = re.search(r"\(([\d,]+) pictures seen, (\d+) s on one NVIDIA H200", card).groups()
    ratio = cost.work(unet.config, 128) / cost.work(RestorationPipeline.from_pretrained().unet.config, 64)
    asked = sum(int(part["steps"]) * int(part["batch-size"]) for part in (first, second))
    assert asked / int(pictures.replace(",", "")) * int(seconds) * ratio < 21 * 60  # and four to compile


def test_predictions_stand_beside_what_was_measured(tmp_path, monkeypatch):
    """The experiment on small networks: the large one is read from its folder, and what no one measured is null."""
    small = {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"], "norm_num_groups": 4}
    monkeypatch.setattr(scale, "LARGE", small | {"sample_size": 32, "block_out_channels": [8]})
    monkeypatch.setattr(scale, "PIXELS", (16,))
    monkeypatch.setattr(scale, "memory", lambda *of: {"bytes": len(of)})
    out, prior = tmp_path / "scale.json", saved(small_pipe(32), tmp_path / "prior")
    assert command.main(["scale", "--prior", str(prior), "--device", "cpu", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert sum("bytes" in row for row in rows) == 2 and len({row["what"] for row in rows}) == len(rows)
    many = {row["what"]: row for row in rows if "10,000" in row["what"]}
    assert len(many) == 8 and {row["seconds"] for row in many.values()} == {None}
    by_the_poster = [seconds for what, seconds in many.items() if what.startswith("hybrid") and "GPU" in what]
    hours = [row["predicted"] / 3600 for row in by_the_poster]
    assert hours == pytest.approx([10_000 * 13.455 / 3600, 1250 * 13.455 / 3600])


def test_prices_of_a_real_network_are_no_less_than_nothing():
    found = cost.prices(
        small_pipe(), batch=32
    )  # of so many pictures that a busy machine does not hide one's price
    assert min(vars(found).values()) >= 0 < found.forward


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("switch", [None, 1])
def test_the_passes_of_a_method_are_known_before_it_runs(method, switch):
    pipe = small_pipe()
    done = pipe.complete(Settings(4, switch), method, "sr4")
    (row,), _ = restore(pipe, torch.zeros(1, *pipe.image_shape), "sr4", method, 0.1, Settings(4, switch))
    assert METHODS[method].backprops(done.steps, done.switch) == row["backprops"]


def test_the_fast_switch_keeps_the_picture():
    x0 = images.shipped("faces", limit=1)
    plain, fast = (RestorationPipeline.from_pretrained() for _ in range(2))
    fast.speed_up()
    for method in ("dmps", "hybrid", "centred"):
        pair = []
        for pipe in (plain, fast):
            pipe.set_progress_bar_config(disable=True)
            pair.append(restore(pipe, x0, "sr4", method, 0.01, Settings(6))[1])
        assert pair[1].dtype == torch.float32
        assert 45 < metrics.psnr(*pair).item() < 99  # near, and not the same arithmetic


@pytest.mark.parametrize(
    "has", [{}, {"avx512_f": True}, {"avx512_bf16": True}, {"amx_bf16": True}, {"bf16": True}]
)
def test_the_fast_switch_is_refused_where_it_would_be_slow(monkeypatch, has):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    monkeypatch.setattr(devices, "computes_bfloat16", computes_bfloat16)  # the real one
    pipe = small_pipe()
    if any("bf16" in name for name in has):
        assert pipe.speed_up().fast
    else:
        with pytest.raises(Refusal, match="fast: this cpu has no arithmetic for bfloat16"):
            pipe.speed_up()
        assert not pipe.fast


@pytest.fixture
def folder(tmp_path, small):
    return folder_of_faces(tmp_path / "pictures", 5)


def rows_of(folder, out, **own):
    content = json.loads(
        evaluate.evaluate(folder, "sr4", ["dmps"], out, settings=Settings(2), **own).read_text()
    )
    return content["meta"], [{k: v for k, v in row.items() if k != "seconds"} for row in content["rows"]]


def test_a_batch_that_memory_does_not_hold_is_made_smaller(folder, tmp_path, monkeypatch):
    _, expected = rows_of(folder, tmp_path / "a.json")
    sizes, real = [], evaluate.restore

    def small_memory(pipe, x0, *rest):
        sizes.append(len(x0))
        if len(x0) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return real(pipe, x0, *rest)

    monkeypatch.setattr(evaluate, "restore", small_memory)
    _, rows = rows_of(folder, tmp_path / "b.json", batch_size=5)
    assert sizes == [5, 4, 3, 2, 2, 1]  # accelerate's tenths, rounded down
    assert [row["picture"] for row in rows] == [row["picture"] for row in expected]
    assert all(abs(a["psnr"] - b["psnr"]) < 1e-3 for a, b in zip(rows, expected))


def test_fast_rows_are_not_taken_for_others(folder, tmp_path):
    meta, rows = rows_of(folder, tmp_path / "a.json", limit=2)
    with pytest.raises(Refusal, match="another fast"):
        rows_of(folder, tmp_path / "a.json", limit=2, fast=True)
    fast_meta, fast = rows_of(folder, tmp_path / "b.json", limit=2, fast=True)
    assert (meta["fast"], fast_meta["fast"]) == (False, True) and rows != fast


def test_a_long_run_is_forecast(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "WORTH_TIMING", 5)
    rows_of(folder, tmp_path / "a.json")
    assert "in all" in capsys.readouterr().err
