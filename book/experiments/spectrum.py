"""What a prior's guess leaves open, wave by wave: its mean squared error by noise level, colour and frequency.

The rings of ``step_sizes.RINGS`` share a number. ``--into`` writes them into a prior's folder.
"""

import torch

from frugal import RestorationPipeline
from frugal.base import files
from frugal.prior.step_sizes import FILE, rings
from frugal.schedule import Schedule
from frugal.waves import Waves

from . import stamp
from .behaviour import Numbers, problem, rounded
from .engine import Job

RINGS = rings(64, 64).flatten().bincount().tolist()  # how many waves have a ring
LEVELS, DRAWS = 20, 4  # noise levels, evenly over the schedule, and noises for each face

Spectrum = dict[str, list[list[float]]]  # {s^2: for each of the three colours, a number for each ring}


def then(job: Job) -> dict[str, object]:
    """{"spectrum"}, also into the step sizes of a prior."""
    x0 = torch.stack(list(job.pictures().values())).to(job.pipe.device)
    spectrum = left_open(job.pipe, x0, LEVELS, DRAWS, job.args.seed)
    if job.args.into:
        file, count = job.args.into / FILE, rings(*x0.shape[2:]).flatten().bincount().float()
        new = {"meta": job.content["meta"], "tuned": {}, "errors": means(spectrum, count)}
        files.write_json(file, new | stamp.content(file) | {"spectrum": spectrum})
    return {"spectrum": spectrum}


def means(spectrum: Spectrum, count: torch.Tensor) -> dict[str, float]:
    """The error per number, for a prior that has no other measurement of it: the mean over all waves.

    count: how many waves have a ring.
    """
    return {s2: (torch.tensor(lines) @ count / count.sum()).mean().item() for s2, lines in spectrum.items()}


@torch.no_grad()
def left_open(pipe: RestorationPipeline, x0: torch.Tensor, levels: int, draws: int, seed: int) -> Spectrum:
    """The error of the guesses of pictures x0 (B, C, H, W), at so many noise levels."""
    schedule, generator = Schedule.from_scheduler(pipe.scheduler, levels), torch.Generator().manual_seed(seed)
    denoise, waves, ring = pipe.denoiser(schedule), Waves(x0), rings(*x0.shape[2:]).flatten()
    spectrum = {}
    for k in schedule.steps:
        alpha_bar, error = schedule.alpha_bar[k], torch.zeros(x0.shape[1:])
        for _ in range(draws):
            for some in x0.split(20):
                z = torch.randn(some.shape, generator=generator).to(some)
                wrong = denoise(alpha_bar**0.5 * some + (1 - alpha_bar) ** 0.5 * z, k) - some
                error += waves.Wt(wrong).square().sum(0).cpu() / (draws * len(x0))
        by_ring = [[c.flatten()[ring == r].mean().item() for r in ring.unique()] for c in error]
        spectrum[f"{schedule.s[k] ** 2:.6g}"] = [[float(f"{v:.4g}") for v in line] for line in by_ring]
    return spectrum


def by_wave() -> Numbers:
    """What ``left_open`` finds of a network that is not trained, see ``behaviour``."""
    pipe, x0 = problem()
    return {s2: rounded(sum(lines, [])) for s2, lines in left_open(pipe, x0, 3, 1, 0).items()}
