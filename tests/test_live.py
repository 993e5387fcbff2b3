"""The live experiment of page 05 computes what the library computes."""

import json

import pytest
import torch
from diffusers import DDPMScheduler
from examples import by_node, seeded

from frugal import Measurement, operators
from frugal.laboratory import GaussianMixture
from frugal.samplers import poster
from frugal.samplers.walk import last, walk
from frugal.schedule import Schedule
from frugal.show import live

SETTINGS = {"y": 0.7, "sigma": 0.05, "zeta": 0.2, "lam": 1.0, "last": 10}


@pytest.fixture(scope="module")
def mixture():
    """Four Gaussians in the plane, two of them the upper moon's."""
    means = torch.tensor([[0.3, 0.5], [-0.8, 0.2], [-0.3, -0.5], [0.8, -0.2]]).double()
    covariance = torch.tensor([[0.02, 0.01], [0.01, 0.03]]).double()
    return GaussianMixture(torch.tensor([0.4, 0.3, 0.2, 0.1]).double(), means, covariance.repeat(4, 1, 1))


def test_points_end_where_the_librarys_do_from_the_same_noise(mixture, tmp_path):
    schedule = Schedule.from_scheduler(DDPMScheduler(), 30)
    noise = torch.randn(31, 50, 2, generator=seeded(), dtype=torch.float64)
    shape, draws = (2, 1, 1), iter(noise.reshape(31, 50, 2, 1, 1))
    A = operators.make("inpaint", shape, mask=torch.tensor([1, 0]).reshape(shape))
    m = Measurement(torch.full((50, 1), SETTINGS["y"]).double(), A, SETTINGS["sigma"])
    denoise = lambda x, k: mixture.denoise(x.flatten(1), schedule.alpha_bar[k]).reshape(x.shape)
    step = poster.hybrid(denoise, schedule, SETTINGS["zeta"], 1.0, SETTINGS["last"])
    x = last(walk(step, schedule, m, draws.__next__)).x
    html = live.moons(mixture, schedule, SETTINGS, mixture.means[:2], "caption").data
    given = json.loads(html.split("frugalMoons, ", 1)[1].rsplit(");}</script>", 1)[0])
    case = {"mixture": given["mixture"], "alpha_bar": schedule.alpha_bar}
    answer = by_node("moons.mjs", {**case, "settings": SETTINGS, "noise": noise.tolist()}, tmp_path)
    assert (torch.tensor(answer["points"], dtype=torch.float64) - x.flatten(1)).abs().max() < 1e-6
    exact = mixture.posterior(torch.tensor([SETTINGS["y"]], dtype=torch.float64), A, SETTINGS["sigma"])
    assert abs(answer["upper"] - exact.weights[:2].sum().item()) < 1e-9
