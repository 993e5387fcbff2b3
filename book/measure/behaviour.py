"""What the samplers do, as numbers: a small problem for every task and method, restored again.

A measured file of restorations keeps these numbers. They stay the same where code is only moved or renamed, and
where a task or a method is added; they change where a formula does. So they say whether a file's numbers
belong to the code in use.
"""

from functools import cache

import torch
from diffusers import DDPMScheduler, UNet2DModel

from frugal import RestorationPipeline, metrics
from frugal.runs import restore
from frugal.samplers import METHODS
from frugal.operators import TASKS

STEPS, SIGMA, ZETA, LAM = 3, 0.05, 10.0, 1.0
TOLERANCE = 1e-3  # of numbers of the size of 1: what another processor or library rounds otherwise
OWN = {"hybrid": {"a k": {"switch": 1}, "collapse": {"switch": "collapse"}}}  # runs of a method with a switch

Numbers = dict[str, list[float]]


@cache
def behaviour() -> Numbers:
    """{"sr4 dps": [mean, root mean square and pSNR of the restoration], ...}, of a network that is not trained."""
    generator = torch.Generator().manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = UNet2DModel(32, block_out_channels=(8,), norm_num_groups=4, layers_per_block=1, **blocks)
    for weight in unet.parameters():
        weight.data.normal_(0, 0.1, generator=generator)
    pipe = RestorationPipeline(unet.eval(), DDPMScheduler())
    pipe.set_progress_bar_config(disable=True)
    x0 = torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1
    found = {}
    for task in TASKS:
        if task != "inpaint":  # which has no mask of its own
            m = restore.measure(x0, task, SIGMA)
            for method in METHODS:
                for name, own in OWN.get(method, {"": {}}).items():
                    noise = restore.generators(0, x0, "sampler")
                    x = pipe(m, method, STEPS, zeta=ZETA, lam=LAM, generator=noise, **own).images
                    numbers = [x.mean(), x.square().mean().sqrt(), metrics.psnr(x, x0)[0] / 10]
                    found[f"{task} {method} {name}".strip()] = [float(f"{float(n):.5g}") for n in numbers]
    return found


def differing(then: Numbers, now: Numbers) -> list[str]:
    """Names of what does not behave as it did, or is no longer there."""
    return [
        name
        for name, numbers in then.items()
        if name not in now or any(abs(a - b) > TOLERANCE for a, b in zip(numbers, now[name], strict=True))
    ]
