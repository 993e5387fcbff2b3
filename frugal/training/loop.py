"""The training loop.

Everything random in step n comes from a generator seeded by n, so a run that was killed and
started again goes through the same steps as one that was not.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from tqdm import tqdm

from ..base import checks
from ..base.checks import Refusal
from .data import digest, split
from .network import CHANNELS, load_prior, new_prior
from .objective import draw_batch, level_shares, target
from .run import Run

WARM_UP = 500  # steps over which the learning rate rises
SAVE_SECONDS = 240  # between two saved states


def learning_rate(step: int, peak: float, steps: int, decay: float) -> float:
    """The rate of a step, 0 to steps - 1: a function of the step alone, so that a run can go on anywhere.

    Rises over ``WARM_UP`` steps, stays at ``peak``, falls to 0 over the last fraction ``decay`` of the run.
    """
    fall = (steps - step) / (decay * steps) if decay else 1
    return peak * min(1, (step + 1) / WARM_UP, fall)


def precision() -> str:
    """accelerate's "bf16" on devices that compute faster in it; elsewhere "no", which is float32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("amx_bf16") or able.get("avx512_bf16") else "no"


def above_zero(name: str, value: object) -> float:
    """``value``; Refusal unless it is a finite number above 0."""
    number = checks.at_least_zero(name, value)
    if number == 0:
        raise Refusal(f"{name}: {value!r} is not accepted; give a number above 0")
    return number


def train(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    val: Sequence[str | Path] | None = None,
    crop: int | None = None,
    size: int = 64,
    channels: Sequence[int] = CHANNELS,
    init: str | Path | None = None,
    steps: int = 60_000,
    batch_size: int = 16,
    lr: float = 3e-4,
    decay: float = 0.2,
    min_snr: float | None = None,
    every: int = 1000,
    seed: int = 0,
    compile: bool = False,
) -> Path:
    """Train a prior on pictures; returns the folder ``out``.

    sources     folders of pictures or ``.npy`` files, see ``read_pictures``
    out         becomes a folder that ``from_pretrained`` loads, and from which the same call goes on after an
                interruption (see ``Run``)
    val         held-out pictures, given like the sources; by default a part of these
    crop        side of the centred square that is cut out of each picture; by default all of its shorter side
    size        side of the model's pictures, 1 to 4096
    channels    of the levels of a new network, see ``new_prior``
    init        prior whose weights, shape and schedule to start from, in place of a new network
    steps       in all, with those before an interruption
    batch_size  pictures a step, over all processes
    lr, decay   peak of the learning rate, above 0, and the last fraction of the steps, 0 to 1, where it falls
    min_snr     gamma of the weights by which noise levels are drawn, above 0, see ``level_shares``
    every       steps between validations
    seed        of the weights and of every step, 0 to 2**32 - 1
    compile     whether to use ``torch.compile``

    A run goes on with other steps, lr, decay, every and val, but not with another seed, batch_size, min_snr
    or other training pictures. Raises Refusal for settings, pictures and folders that cannot be used, for a
    folder that holds another run, and when the disk is full.
    """
    steps, every = checks.whole("steps", steps), checks.whole("every", every)
    size, seed = checks.whole("size", size, 1, 4096), checks.whole("seed", seed, 0, 2**32 - 1)
    batch_size, lr = checks.whole("batch_size", batch_size), above_zero("lr", lr)
    if checks.at_least_zero("decay", decay) > 1:
        raise Refusal(f"decay: {decay} is not accepted; give a number from 0 to 1")
    if min_snr is not None:
        min_snr = above_zero("min_snr", min_snr)
    accelerator = Accelerator(mixed_precision=precision(), dynamo_backend="inductor" if compile else "no")
    processes, rank, device = accelerator.num_processes, accelerator.process_index, accelerator.device
    if batch_size % processes:
        raise Refusal(f"batch_size: {batch_size} is not a multiple of the {processes} processes; give one")

    unet, scheduler = load_prior(init, size) if init else new_prior(size, channels, seed)
    pixels, held_out = split(sources, val, size, crop)
    fixed = {"seed": seed, "batch_size": batch_size, "min_snr": min_snr, "images": digest(pixels)}
    pixels, held_out = pixels.to(device), held_out.to(device)
    run = Run(out, unet.to(device).train(), scheduler, fixed)
    shares = level_shares(scheduler, min_snr).to(device)
    model, optimizer = accelerator.prepare(run.unet, run.optimizer)
    generator = torch.Generator(device)
    first = run.progress.step
    bar = tqdm(range(first, steps), initial=first, total=steps, disable=rank > 0)
    clock = saved = time.monotonic()
    for step in bar:
        generator.manual_seed(seed * 1_000_003 + step * processes + rank)
        optimizer.param_groups[0]["lr"] = learning_rate(step, lr, steps, decay)
        x0, eps, t = draw_batch(pixels, batch_size // processes, generator, shares)
        x_t = scheduler.add_noise(x0, eps, t)  # pyright: ignore[reportArgumentType]
        prediction = model(x_t, t).sample
        loss = F.mse_loss(prediction, target(scheduler, x0, eps, t))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        before, clock = clock, time.monotonic()
        run.advance(pictures=batch_size, seconds=clock - before, loss=loss.item())
        if rank > 0:
            continue
        if due := (step + 1) % every == 0 or step + 1 == steps:
            with accelerator.autocast():
                line = run.report(held_out)
            bar.set_postfix({f"t={t}": f"{value:.4f}" for t, value in line["validation"].items()})
        if due or clock - saved > SAVE_SECONDS:
            run.save()
            saved = clock
    return run.out
