"""The book at other sizes than 64: pictures at the prior's size, and pages that run with a prior of 128 or 256."""

from pathlib import Path

import nbformat
import papermill
import pytest
import torch
from examples import saved, small_pipe
from PIL import Image

from frugal import RestorationPipeline, images
from frugal.base.checks import Refusal
from frugal.cli import main
from frugal.operators import TASKS, make
from frugal.runs import restore
from frugal.show import page

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name, count", [("faces", 20), ("out_of_distribution", 8)])
def test_the_large_pictures_are_the_small_ones(name, count):
    small, large = images.shipped(name, 64), images.shipped(name, 256)
    assert large.shape == (count, 3, 256, 256)
    reduced = torch.nn.functional.interpolate(large, 64, mode="bicubic", antialias=True)
    assert (reduced - small).square().mean(dim=(1, 2, 3)).max() < 1e-3  # Lanczos once, and twice
    assert images.shipped(name, 128, 1).shape == (1, 3, 128, 128)


@pytest.mark.parametrize("size, matched", [(64, "sr4"), (128, "sr8"), (256, "sr16")])
def test_the_matched_task_measures_16_by_16_pixels(size, matched):
    assert page.super_resolutions(size) == {"literal": "sr16", "matched": matched}
    assert matched in TASKS


def test_fewer_pictures_at_once_where_they_are_larger(tmp_path):
    sizes = {64: 10, 128: 2, 256: 1}
    for size, count in sizes.items():
        assert (
            restore.at_once(
                RestorationPipeline.from_pretrained(saved(small_pipe(size), tmp_path / str(size)))
            )
            == count
        )


@pytest.mark.parametrize("name, size", [("08_figure1_super_resolution", 128), ("10_table1", 256)])
def test_a_page_runs_with_a_prior_of_another_size(name, size, tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").symlink_to(ROOT / "book")
    target = tmp_path / "notebooks" / f"{name}.ipynb"
    parameters = {
        "prior": str(saved(small_pipe(size), tmp_path / "prior")),
        "steps": 4,
        "switch": 2,
        "images": 2,
    }
    papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(target),
        parameters=parameters | {"device": "cpu"},
        cwd=str(target.parent),
        kernel_name="python3",
        progress_bar=False,
    )
    cells = nbformat.read(target, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    text = "\n".join(o.get("text", o.get("data", {}).get("text/markdown", "")) for o in outputs)
    assert ("sr8" in text) == (size == 128) and "sr16" in text and "sr4" not in text


def test_the_command_brings_a_photo_to_the_priors_size_and_a_measurement_has_to_have_it(tmp_path):
    prior = saved(small_pipe(128), tmp_path / "prior")
    photo, out = images.SHIPPED / "faces" / "00.png", tmp_path / "out.png"
    given = ["--task", "sr8", "--prior", str(prior), "--steps", "2", "--switch", "1", "--out", str(out)]
    assert main(["restore", str(photo), *given]) == 0
    assert Image.open(out).size == (128, 128)
    pipe, x0 = RestorationPipeline.from_pretrained(prior), images.shipped("faces", 64, 1)
    with pytest.raises(Refusal, match=r"\(3, 64, 64\), and the prior makes \(3, 128, 128\)"):
        pipe(make("sr4", (3, 64, 64)).measure(x0, 0.01), "dps", 2)
