"""The poster's three methods on more pictures, with several seeds, and the spread of their restorations.

``rows`` has DPS, DMPS and the hybrid on CelebA-HQ's faces, held-out faces with a second seed (``switches`` has the
first), and pictures unlike the training's with several. ``spread`` has, for shipped faces, the standard deviation of
a pixel over restorations of one y that differ in the sampler's noise.
"""

from collections.abc import Iterator
from functools import partial

import torch

from frugal import RestorationPipeline, Settings, images
from frugal.base import checks
from frugal.runs import chains, restore
from frugal.samplers import POSTER

from .engine import Job, Pictures, Run, means
from .faces import SIGMA

STEPS, SWITCH = 100, 50
TASKS = TABLE1, STRANGE, SPREAD = ("sr4", "sr16"), ("inpaint-box",), ("sr4", "inpaint-box")  # of the parts


def runs(job: Job) -> Iterator[Run]:
    """The sets, and then the draws."""
    args, size = job.args, job.pipe.size
    checks.whole("faces", args.faces, 1, 20)
    checks.whole("draws", args.draws, 2)
    sets = [("out of distribution", images.named("out_of_distribution", size), STRANGE, range(args.seeds))]
    sets += [
        ("CelebA-HQ", job.read(args.celebahq, None), TABLE1, [0]),
        ("held out", job.pictures(), TABLE1, [1]),
    ]
    for name, pictures, tasks, seeds in sets:
        for own in ({"set": name, "task": task, "seed": seed} for task in tasks for seed in seeds):
            yield Run(own, pictures, partial(by_poster, job.pipe, own["task"], own["seed"]))
    for own in ({"task": task, "method": method} for task in SPREAD for method in POSTER):
        of = lambda some, own=own: [spread(job.pipe, *one, **own, draws=args.draws) for one in some.items()]
        yield Run(own, images.named("faces", size, args.faces), of, table="spread")


def by_poster(pipe: RestorationPipeline, task: str, seed: int, some: Pictures) -> list[dict]:
    """The rows of the poster's methods."""
    asked = Settings(STEPS, SWITCH, seed=seed)
    return list(restore.compare(pipe, some, task, SIGMA, asked, batch_size=len(some))[0])


def spread(
    pipe: RestorationPipeline, name: str, x0: torch.Tensor, task: str, method: str, draws: int
) -> dict[str, object]:
    """How restorations of one measurement of a face x0 (C, H, W) differ.

    ``spread`` is the root mean square, over pixels, of their standard deviation; ``psnr`` and ``lpips`` are
    means over the draws; ``psnr_of_mean`` is that of their mean.
    """
    m = chains.measure(x0[None], task, SIGMA, 0)[torch.zeros(draws, dtype=torch.long)]
    noise = [chains.generator(seed, images.digest(x0), "sampler") for seed in range(draws)]
    x = pipe(m, method, STEPS, SWITCH, generator=noise).images.cpu()
    of_mean = means(x.mean(0, keepdim=True), x0[None])["psnr"]
    return {
        "image": name,
        "draws": draws,
        **means(x, x0.expand_as(x)),
        "spread": float(x.var(0).mean().sqrt()),
        "psnr_of_mean": of_mean,
    }
