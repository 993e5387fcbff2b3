"""Small mixtures, a small network, generators and comparisons that several tests share."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel

from frugal import RestorationPipeline, images
from frugal.laboratory import GaussianMixture, LowRankMixture
from frugal.prior import step_sizes


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def loaded(path):
    """A module of the book's own, which no package holds."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def by_node(script, case, folder):
    """What a script of this folder prints, as JSON, for a case, by the Node that comes with Playwright."""
    driver = pytest.importorskip("playwright._impl._driver")
    (folder / "case.json").write_text(json.dumps(case))
    program = [driver.compute_driver_executable()[0], Path(__file__).with_name(script), folder / "case.json"]
    return json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def folder_of_faces(folder, count):
    """A new folder with the first shipped faces, 0.png and so on."""
    folder.mkdir()
    for i, x in enumerate(images.shipped("faces", limit=count)):
        images.save(x, folder / f"{i}.png")
    return folder


def small_pipe(size=32, channels=3):
    """A small random network for pictures of channels x size x size."""
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    few = {"block_out_channels": (8,), "norm_num_groups": 4, "layers_per_block": 1, "add_attention": False}
    unet = UNet2DModel(size, channels, channels, **few, **blocks)
    pipe = RestorationPipeline(unet.eval(), DDPMScheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def saved(pipe, folder):
    """The folder of a pipeline's network, in diffusers' format, with step sizes of its own."""
    pipe.save_pretrained(folder)
    levels = (0.1, 1.0)
    sizes = {
        "meta": {"prior_digest": pipe.digest()},
        "tuned": {"sr4": {"0": {"zeta": 2.0, "lam": 1.0}, "50": {"zeta": 3.0, "lam": 1.0}}},
        "errors": {s2: 0.1 * s2 for s2 in levels},
        "spectrum": {s2: [[0.1 * s2] * step_sizes.RINGS] * 3 for s2 in levels},
    }
    (folder / step_sizes.FILE).write_text(json.dumps(sizes))
    return folder


def gaussian(n, seed=0):
    """A Gaussian with a smooth random covariance on [-1, 1]-like scales."""
    g = seeded(seed)
    R = torch.randn(n, n, generator=g, dtype=torch.float64) / n**0.5
    return GaussianMixture(
        torch.ones(1).double(),
        0.2 * torch.randn(1, n, generator=g).double(),
        (0.2 * R @ R.T + 0.05 * torch.eye(n))[None],
    )


def three(n, seed=0):
    """Three Gaussians of random means and covariances."""
    parts = [gaussian(n, seed + j) for j in range(3)]
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    return GaussianMixture(
        weights, 3 * torch.cat([p.means for p in parts]), torch.cat([p.covariances for p in parts])
    )


def low_rank(n=48, r=4, floor=0.02, seed=0):
    """Three components around planes of r dimensions."""
    g = seeded(seed)
    means, factors = (torch.randn(3, n, *more, generator=g).double() for more in ((), (r,)))
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    return LowRankMixture(weights, 0.3 * means, 0.3 * factors, floor)


def full(mixture):
    """A low-rank mixture with its covariances written out."""
    D = mixture.apply(mixture.spectrum, torch.eye(mixture.means.shape[1]).double())
    return GaussianMixture(mixture.weights, mixture.means, mixture.factors @ mixture.factors.mT + D)


def same(ours, truth, tolerance=1e-10):
    """Whether two tensors agree up to rounding."""
    return torch.linalg.vector_norm(ours - truth) <= tolerance * (1 + torch.linalg.vector_norm(truth))
