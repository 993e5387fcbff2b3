"""What restorations cost on one machine: passes, methods, batches, precision, memory; of other sizes see ``scale``.

Seconds are medians, each taken in turn with the bare passes through the network that it is compared with.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from frugal import Measurement, RestorationPipeline, images, metrics, operators
from frugal.base import devices
from frugal.runs.cost import Prices, median_seconds, prices
from frugal.samplers import METHODS

from .engine import Job

TASK, SIGMA, ZETA, LAM, REPEATS = "sr4", 0.01, 6.0, 1.0, 5
PREDICTED = (("dps", 3, 12), ("dmps", 7, 12), ("hybrid", 5, 9), ("centred", 2, 15), ("relay", 6, 10))
HISTORY = (
    "Times belong to the machine and the day that its stamp names; other code, or another machine, makes "
    "other times, and none of them wrong."
)


def then(job: Job) -> dict[str, object]:
    """{"prices": of ``cost.Prices``, "rows": see the functions below, each with its "kind"}."""
    args, pipe = job.args, job.pipe
    paid = prices(pipe, max(args.batches))
    rows = list(predicted(pipe, paid))
    rows += [row for batch in args.batches for row in methods(pipe, batch, args.steps)]
    rows += [
        memory(args.prior, args.device, method, b) for method in ("dps", "centred") for b in args.batches
    ]
    if devices.computes_bfloat16(pipe.device):
        fast = loaded(args.prior, args.device).speed_up()
        rows += [row for batch in args.batches for row in methods(fast, batch, args.steps)]
        rows += nearness(pipe, fast, args.seed)
    return {"prices": asdict(paid), "rows": rows}


def loaded(prior: str, device: str) -> RestorationPipeline:
    """A prior on its device, without a progress bar."""
    pipe = RestorationPipeline.from_pretrained(prior).to(devices.choose(device))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def measurement(pipe: RestorationPipeline, batch: int, size: int) -> Measurement:
    """Of so many grey pictures of ``size`` pixels a side, by super-resolution."""
    A = operators.make(TASK, (pipe.image_shape[0], size, size))
    return A.measure(torch.zeros(batch, *A.image_shape, device=pipe.device), SIGMA, seeded(0))


def seeded(seed: int) -> torch.Generator:
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def restoration(pipe: RestorationPipeline, method: str, m: Measurement, steps: int) -> torch.Tensor:
    """The pictures that a method restores; of any size, where the network takes it."""
    return pipe(m, method, steps, None, ZETA, LAM, seeded(1)).images


def forward(pipe: RestorationPipeline, x: torch.Tensor) -> torch.Tensor:
    """One bare pass through the network, in the precision that the pipeline has."""
    with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=pipe.fast):
        return pipe.unet(x, 500).sample


def both(pipe: RestorationPipeline, x: torch.Tensor) -> torch.Tensor:
    """One bare pass and its back-propagation to the picture."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(pipe.unet(x, 500).sample.sum(), x)[0]


def methods(pipe: RestorationPipeline, batch: int, steps: int) -> Iterator[dict]:
    """Kind "pass" and "method": seconds for one picture and one step, and their ratio to the bare passes."""
    x = torch.zeros(batch, *pipe.image_shape, device=pipe.device)
    bare, m = (partial(forward, pipe, x), partial(both, pipe, x)), measurement(pipe, batch, pipe.size)
    shared = {"batch": batch, "fast": pipe.fast}
    once, twice = (s / batch for s in median_seconds(*bare, repeats=REPEATS))
    yield {"kind": "pass", "what": "forward", "seconds": once, **shared}
    yield {"kind": "pass", "what": "forward and back-propagated", "seconds": twice, **shared}
    for method, how in METHODS.items():
        run = partial(restoration, pipe, method, m, steps)
        once, twice, whole = (s / batch for s in median_seconds(*bare, run, repeats=REPEATS))
        calls, backprops = how.calls(pipe.schedule(method, steps)), how.backprops(steps, steps // 2)
        floor = (calls - backprops) * once + backprops * twice
        yield {"kind": "method", "method": method, "seconds": whole / steps, "ratio": whole / floor, **shared}


def predicted(pipe: RestorationPipeline, paid: Prices) -> Iterator[dict]:
    """Kind "predicted": seconds by Eq. 7b beside what was then measured, for runs that no price was fitted to."""
    for method, pictures, steps in PREDICTED:
        m = measurement(pipe, pictures, pipe.size)
        (seconds,) = median_seconds(partial(restoration, pipe, method, m, steps), repeats=REPEATS)
        by_prices = paid.seconds(pictures, steps, METHODS[method].backprops(steps, steps // 2), pictures)
        run = {"method": method, "batch": pictures, "steps": steps}
        yield {"kind": "predicted", **run, "predicted": by_prices, "seconds": seconds}


def nearness(pipe: RestorationPipeline, fast: RestorationPipeline, seed: int) -> Iterator[dict]:
    """Kind "precision": pSNR of the fast switch's pictures against those in float32, the least of four faces."""
    x0 = images.shipped("faces", pipe.size, 4)
    m = operators.make(TASK, pipe.image_shape).measure(x0, SIGMA, seeded(seed))
    for method in METHODS:
        a, b = (p(m, method, 20, generator=seeded(seed)).images.cpu() for p in (pipe, fast))
        yield {"kind": "precision", "method": method, "psnr": min(99.0, metrics.psnr(a, b).min().item())}


def memory(prior: str, device: str, method: str, batch: int) -> dict:
    """Kind "memory": bytes at the peak of one restoration above those of the loaded prior, in a process of its own."""
    code = f"from experiments.bench import peak; print(peak({prior!r}, {device!r}, {method!r}, {batch}))"
    told = {"cwd": Path(__file__).parents[1], "capture_output": True, "text": True, "check": True}
    done = subprocess.run([sys.executable, "-c", code], **told)
    return {"kind": "memory", "method": method, "batch": batch, "bytes": int(done.stdout.split()[-1])}


def peak(prior: str, device: str, method: str, batch: int) -> int:
    """Bytes that a restoration takes at its peak beside the prior: of the GPU, or of this process (on Linux)."""
    pipe = loaded(prior, device)
    cuda = pipe.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if cuda else resident("VmRSS")
    restoration(pipe, method, measurement(pipe, batch, pipe.size), 3)
    return (torch.cuda.max_memory_allocated() if cuda else resident("VmHWM")) - before


def resident(line: str) -> int:
    """Bytes of this process by a line of Linux's account of it."""
    account = dict(entry.split(":", 1) for entry in Path("/proc/self/status").read_text().splitlines())
    return int(account[line].split()[0]) * 1024
