"""The sweep over step sizes and switches: no setting is chosen on the pictures that it serves."""

import torch
from diffusers import DDPMScheduler
from examples import low_rank, same, seeded

from frugal import operators
from frugal.laboratory import Problem, Sweep, best_of_other_half, sliced_wasserstein
from frugal.schedule import Schedule


def test_settings_are_chosen_on_other_pictures():
    distances = {"a": torch.tensor([0.0, 0, 9, 9, 9]), "b": torch.tensor([1.0, 1, 1, 1, 1])}
    assert best_of_other_half(distances) == ["b", "b", "a", "a", "a"]


def test_sweep_serves_each_half_with_the_zeta_of_the_other():
    problem = Problem.draw(low_rank(), operators.make("sr4", (3, 4, 4)), 0.1, 4, seeded())
    schedule = Schedule.from_scheduler(DDPMScheduler(), 10)
    sweep = Sweep.run(problem, schedule, (0.1, 1.0), (0, 5), 6)
    assert sweep.exact.shape == (4, 48, 48) and sweep.control.shape == (4, 6, 48)
    for k in (0, 5):
        assert sweep.chosen[k] == best_of_other_half({z: sweep.distances[z, k] for z in (0.1, 1.0)})
        again = sliced_wasserstein(sweep.restored[k], sweep.exact, seeded())
        assert same(sweep.tuned[k], again, 1e-8)
        assert sweep.tuned[k][0] == sweep.distances[sweep.chosen[k][0], k][0]
