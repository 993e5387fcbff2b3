"""Whether a prior knows pictures of this kind: its guess of one, from noise, against its guesses of its own kind."""

import torch

from ..pipeline import RestorationPipeline
from ..schedule import Schedule

LEVELS = (0.3, 1.0)  # noise s: details still show through the first, only shapes through the second
UNKNOWN = 1.6  # times the error on the prior's own kind; the faces that ship stay below, sharp or restored


@torch.no_grad()
def error(pipe: RestorationPipeline, x: torch.Tensor) -> float:
    """Mean over ``LEVELS`` of the squared error of the guess of x (1, C, H, W), over ``StepSizes.left_open``.

    About 1 for a picture of the kind that the step sizes were measured on; 0 for a prior without such measurements.
    """
    if len(pipe.step_sizes.errors) < 2:
        return 0.0
    schedule = Schedule.from_scheduler(pipe.scheduler, len(pipe.scheduler.alphas_cumprod))
    denoise, ratios = pipe.denoiser(schedule), []
    for level in LEVELS:
        k = min(schedule.steps, key=lambda k: abs(schedule.s[k] - level))
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
        x0_hat = denoise(schedule.alpha_bar[k] ** 0.5 * (x + schedule.s[k] * noise), k)
        ratios.append((x0_hat - x).square().mean().item() / pipe.step_sizes.left_open(schedule.s[k] ** 2))
    return sum(ratios) / len(ratios)


def unknown(pipe: RestorationPipeline, x: torch.Tensor) -> str:
    """A warning where the prior does not know pictures like the restored x (1, C, H, W); "" where it does."""
    ratio = error(pipe, x)
    if ratio <= UNKNOWN:
        return ""
    return (
        f"warning: the prior hardly knows pictures like this one: its guess of it is {ratio:.1f} times as far off "
        "as of its own kind, and what it fills in may have nothing to do with the photo"
    )
