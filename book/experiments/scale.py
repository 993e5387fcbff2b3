"""What larger pictures, more of them and more processes cost: Eq. 7c beside what was measured.

The prices are those of one prior at its size. The law carries them to other sizes, to the network of
google/ddpm-celebahq-256 with random weights, which cost what trained ones do, and to several processes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diffusers import DDPMScheduler, UNet2DModel

from frugal import Measurement, RestorationPipeline, images
from frugal.base.checks import Refusal
from frugal.results.claims import TABLE1
from frugal.runs.cost import Prices, median_seconds, prices, work
from frugal.samplers import BEST, METHODS

from .bench import loaded, measurement, memory, restoration
from .engine import Job

# The network of google/ddpm-celebahq-256, as its page on the hub gives it: 113,673,219 parameters.
LARGE = {
    "sample_size": 256,
    "block_out_channels": [128, 128, 256, 256, 512, 512],
    "layers_per_block": 2,
    "down_block_types": [*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4],
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}
PIXELS, STEPS, BATCH = (32, 96, 128), 2, 10
POSTER = {method: seconds / 100 for method, (seconds, *_) in TABLE1.items()}  # for one step, one picture
GPU = Prices(POSTER["dmps"], POSTER["dps"] - POSTER["dmps"], 0.0)
MANY = 10_000  # faces of 256 pixels
ASKED = ((BEST, METHODS[BEST].steps), ("hybrid", 100))


def then(job: Job) -> dict[str, object]:
    """The law's constants: {"prices", "operations" of a pass of the prior and of the large network}, and {"rows":
    [{"what", "predicted", "seconds" or "bytes"}, ...]}, with null for seconds that were not measured."""
    pipe, device = job.pipe, job.args.device
    found, own, its = (
        prices(pipe, BATCH),
        work(pipe.unet.config, pipe.size),
        work(LARGE, LARGE["sample_size"]),
    )
    rows, paid = list(other_sizes(pipe, found, own)), found.of_work(its / own)
    with TemporaryDirectory() as folder:
        rows += phases(Path(folder), device)
        large = loaded(folder, device)
        for method in ("dps", "dmps"):
            run = partial(restoration, large, method, measurement(large, 1, large.size), STEPS)
            what = f"{method}, 1 picture of {large.size} pixels, the large network, {STEPS} steps"
            rows.append(law(what, seconds_of(paid, large, method, STEPS, 1), run))
            rows.append(
                {"what": f"{method}, memory beside the large network", **memory(folder, device, method, 1)}
            )
        rows += many(paid, large)
    if job.args.images:
        rows += shared(job)
    return {"prices": asdict(found), "operations": [own, its], "rows": rows}


def law(what: str, predicted: float, run: Callable[[], torch.Tensor] | None = None) -> dict:
    """Seconds by Eq. 7c, and those of a run."""
    (seconds,) = median_seconds(run, repeats=1) if run else (None,)
    return {"what": what, "predicted": predicted, "seconds": seconds}


def seconds_of(
    paid: Prices, pipe: RestorationPipeline, method: str, steps: int, pictures: int, processes: int = 1
) -> float:
    """The law for pictures in batches of ``BATCH`` at most; the hybrid takes half of its steps by DMPS."""
    how = METHODS[method]
    calls, backprops = how.calls(pipe.schedule(method, steps)), how.backprops(steps, steps // 2)
    return paid.seconds(pictures, calls, backprops, BATCH, processes)


def other_sizes(pipe: RestorationPipeline, paid: Prices, own: float) -> Iterator[dict]:
    """The prior's own network on pictures of other sizes."""
    for pixels in PIXELS:
        there = paid.of_work(work(pipe.unet.config, pixels) / own)
        for method in ("dps", "dmps"):
            what = f"{method}, 4 pictures of {pixels} pixels, {STEPS} steps"
            run = partial(restoration_of, pipe, method, 4, pixels, STEPS)
            yield law(what, seconds_of(there, pipe, method, STEPS, 4), run)


class AnySize(RestorationPipeline):
    """A pipeline that does not refuse pictures of another size than the prior was trained for."""

    def fitting(self, measurement: Measurement, method: str | None = None) -> Measurement:
        """The measurement as it is."""
        return measurement


def restoration_of(
    pipe: RestorationPipeline, method: str, batch: int, pixels: int, steps: int
) -> torch.Tensor:
    """``samplers`` run as the pipeline does, on pictures of another size than the prior was trained for."""
    other = AnySize(pipe.unet, pipe.scheduler)
    other.set_progress_bar_config(disable=True)
    return restoration(other, method, measurement(pipe, batch, pixels), steps)


def phases(folder: Path, device: str) -> Iterator[dict]:
    """Seconds of making the large network, writing it in diffusers' format, reading it, and a pass."""
    clock = time.perf_counter()

    def phase(what: str) -> dict:
        nonlocal clock
        before, clock = clock, time.perf_counter()
        return {"what": f"{what} the large network", "seconds": clock - before}

    torch.manual_seed(0)
    pipe = RestorationPipeline(UNet2DModel.from_config(LARGE), DDPMScheduler())
    yield phase("make")
    pipe.save_pretrained(folder)
    yield phase("write")
    pipe = loaded(str(folder), device)
    yield phase("read")
    with torch.no_grad():
        pipe.unet(torch.zeros(1, *pipe.image_shape, device=pipe.device), 500).sample.sum().item()
    yield phase("first pass through")


def many(paid: Prices, large: RestorationPipeline) -> Iterator[dict]:
    """``MANY`` faces of 256 pixels: on machines like this one, and on GPUs by the poster's seconds."""
    for method, steps in ASKED:
        what = f"{method}, {MANY:,} pictures of {large.size} pixels, the large network, {steps} steps"
        for where, own in (("like this machine", paid), ("like the poster's GPU", GPU)):
            for count in (1, 8):
                yield law(f"{what}, {count} {where}", seconds_of(own, large, method, steps, MANY, count))


def shared(job: Job) -> Iterator[dict]:
    """``frugal evaluate`` of a folder by one process and by two, each with its share of this machine's cores.

    A second run, which finds all rows there, says how long the start takes, which the law does not know.
    """
    method, steps = ASKED[0]
    count = len(images.find(job.args.images)[: job.args.limit])
    cores = len(os.sched_getaffinity(0))
    for processes in (1, 2):
        torch.set_num_threads(max(1, cores // processes))
        paid = prices(job.pipe, BATCH)
        with TemporaryDirectory() as folder:
            whole, start = (evaluated(job, Path(folder), method, processes) for _ in range(2))
        predicted = start + seconds_of(paid, job.pipe, method, steps, count, processes)
        what = f"{method}, {count} faces, {steps} steps, frugal evaluate by {processes}"
        yield law(what, predicted) | {"seconds": whole, "start": start}
    torch.set_num_threads(cores)


def evaluated(job: Job, folder: Path, method: str, processes: int) -> float:
    """Wall seconds of the command. Raises Refusal where it fails."""
    beside = Path(sys.executable).parent
    launch = [beside / "torchrun", "--nproc_per_node", str(processes)] if processes > 1 else []
    asked = ["--task", "sr4", "--methods", method, "--limit", str(job.args.limit), "--prior", job.args.prior]
    given = [*launch, beside / "frugal", "evaluate", "--images", job.args.images, *asked]
    begin = time.perf_counter()
    done = subprocess.run([*given, "--out", folder / "rows.json"], capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"images: frugal evaluate failed on them: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - begin
