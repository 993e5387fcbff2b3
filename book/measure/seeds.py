"""The poster's three methods on more pictures, with several seeds, and the spread of their restorations.

``rows`` has DPS, DMPS and the hybrid on the sets of ``sets``: CelebA-HQ's faces, held-out faces with a second
seed (``switches`` has the first), and pictures unlike the training's with several. ``spread`` has, for shipped
faces, the standard deviation of a pixel over restorations of one y that differ in the sampler's noise.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, Settings, images
from frugal.base import checks, provenance
from frugal.runs import restore
from frugal.base.devices import choose
from frugal.metrics import quality
from frugal.samplers.poster import METHODS

from . import record

SIGMA, STEPS, SWITCH = 0.01, 100, 50
SAMPLERS = ("dps", "dmps", "hybrid")
TABLE1, STRANGE, SPREAD = ("sr4", "sr16"), ("inpaint-box",), ("sr4", "inpaint-box")  # tasks of the parts
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--celebahq", type=Path, required=True, help="folder of 64-pixel faces of CelebA-HQ")
    add("--images", type=Path, required=True, help="folder of held-out 64-pixel faces")
    add("--limit", type=int, default=40, help="of the held-out faces (default %(default)s)")
    add("--seeds", type=int, default=3, help="of the out-of-distribution pictures (default %(default)s)")
    add("--faces", type=int, default=4, help="1 to 20 of those that ship (default %(default)s)")
    add("--draws", type=int, default=6, help="restorations of each face (default %(default)s)")
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    sizes = RestorationPipeline.from_pretrained().step_sizes.tuned
    return {"sigma": SIGMA, "module": record.digest(Path(__file__)), "step_sizes": sizes}


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "rows", "spread"}; kept run by run and face by face."""
    checks.whole("faces", args.faces, 1, 20)
    checks.whole("draws", args.draws, 2)
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    pipe.set_progress_bar_config(disable=True)
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    content = {"meta": meta, "rows": [], "spread": []}
    content |= record.kept(args.out, meta, ["seeds", "faces", "limit"]) | {"meta": meta}
    done = {(row["set"], row["task"], row["seed"]) for row in content["rows"]}
    todo = [one for one in sets(pipe, args) if (one[0], *one[2:]) not in done]
    for name, named, task, seed in tqdm(todo, desc="sets"):
        asked = Settings(steps=STEPS, switch=SWITCH, seed=seed)
        rows, _ = restore.compare(pipe, named, task, SIGMA, asked, SAMPLERS, batch_size=20)
        content["rows"] += [{"set": name, **row} for row in rows]
        record.write(record.part(args.out), content)
    faces = images.named("faces", pipe.size, args.faces)
    todo = [(task, name, method) for task in SPREAD for name in faces for method in SAMPLERS]
    done = {(row["task"], row["image"], row["method"]) for row in content["spread"]}
    for task, name, method in tqdm([one for one in todo if one not in done], desc="spread"):
        content["spread"].append(spread(pipe, faces[name], task, method, args.draws) | {"image": name})
        record.write(record.part(args.out), content)
    return content


def sets(
    pipe: RestorationPipeline, args: argparse.Namespace
) -> list[tuple[str, dict[str, torch.Tensor], str, int]]:
    """(name, {picture: (C, H, W)}, task, seed) of every run."""
    read = lambda folder, limit=None: {
        path.name: images.load(path, pipe.size) for path in images.find(folder)[:limit]
    }
    strange = images.named("out_of_distribution", pipe.size)
    return [
        *(("out of distribution", strange, task, seed) for task in STRANGE for seed in range(args.seeds)),
        *(("CelebA-HQ", read(args.celebahq), task, 0) for task in TABLE1),
        *(("held out", read(args.images, args.limit), task, 1) for task in TABLE1),
    ]


def spread(pipe: RestorationPipeline, x0: torch.Tensor, task: str, method: str, draws: int) -> dict:
    """How restorations of one measurement of a face x0 (C, H, W) differ.

    ``spread`` is the root mean square, over pixels, of their standard deviation; ``psnr`` and ``lpips`` are
    means over the draws; ``psnr_of_mean`` is that of their mean.
    """
    m = restore.measure(x0[None], task, SIGMA, 0)[torch.zeros(draws, dtype=torch.long)]
    noise = [restore.generator(seed, images.digest(x0), "sampler") for seed in range(draws)]
    own = {"switch": SWITCH} if "switch" in METHODS[method].parameters else {}
    x = pipe(m, method, STEPS, generator=noise, **own).images.cpu()
    scores = quality(x, x0.expand_as(x))
    mean = {name: sum(values) / draws for name, values in scores.items()}
    return {
        "task": task,
        "method": method,
        "draws": draws,
        **mean,
        "spread": float(x.var(0).mean().sqrt()),
        "psnr_of_mean": quality(x.mean(0, keepdim=True), x0[None])["psnr"][0],
    }
