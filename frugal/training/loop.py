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

from .. import checks
from ..checks import Refusal
from .data import split
from .network import CHANNELS, load_prior, new_prior
from .objective import draw_batch, level_shares, target
from .run import Run

WARM_UP = 500  # steps over which the learning rate rises
SAVE_SECONDS = 240  # between two saved states


def learning_rate(step, peak, steps, decay):
    """Rises over ``WARM_UP`` steps, stays at ``peak``, falls to 0 over the last fraction ``decay`` of the run."""
    fall = (steps - step) / (decay * steps) if decay else 1
    return peak * min(1, (step + 1) / WARM_UP, fall)


def precision():
    """bf16 on the devices that compute faster in it; elsewhere float32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("amx_bf16") or able.get("avx512_bf16") else "no"


def train(
    sources,
    out,
    *,
    val=None,
    crop=None,
    size=64,
    channels=CHANNELS,
    init=None,
    steps=60_000,
    batch_size=16,
    lr=3e-4,
    decay=0.2,
    min_snr=None,
    every=1000,
    seed=0,
    compile=False,
):
    """Train a prior on the pictures of ``sources`` (see ``read_pictures``); returns the folder ``out``.

    ``out`` becomes a folder that ``from_pretrained`` loads and from which the same call goes on
    after an interruption (see ``Run``). The settings are described in ``add_arguments``; those that
    do not change the network may differ when a run goes on.
    Raises Refusal for settings, pictures and folders that cannot be used and when the disk is full.
    """
    for name, value in {"steps": steps, "batch_size": batch_size, "every": every, "size": size}.items():
        if value < 1:
            raise Refusal(f"{name}: {value} is too few; give 1 or more")
    if not (lr > 0 and 0 <= decay <= 1):
        raise Refusal(f"lr, decay: {lr}, {decay} are not accepted; give lr above 0 and decay from 0 to 1")
    if min_snr is not None and not min_snr > 0:
        raise Refusal(f"min_snr: {min_snr} is not accepted; give a number above 0")
    accelerator = Accelerator(mixed_precision=precision(), dynamo_backend="inductor" if compile else "no")
    processes, rank, device = accelerator.num_processes, accelerator.process_index, accelerator.device
    if batch_size % processes:
        raise Refusal(f"batch_size: {batch_size} is not a multiple of the {processes} processes")

    unet, scheduler = load_prior(init, size) if init else new_prior(size, channels, seed)
    pixels, held_out = (part.to(device) for part in split(sources, val, size, crop))
    current = Run(out, unet.to(device).train(), scheduler)
    shares = level_shares(scheduler, min_snr).to(device)
    model, optimizer = accelerator.prepare(current.unet, current.optimizer)
    generator = torch.Generator(device)
    bar = tqdm(
        range(current.progress["step"], steps),
        initial=current.progress["step"],
        total=steps,
        disable=rank > 0,
    )
    clock = saved = time.monotonic()
    for step in bar:
        generator.manual_seed(seed * 1_000_003 + step * processes + rank)
        optimizer.param_groups[0]["lr"] = learning_rate(step, lr, steps, decay)
        x0, eps, t = draw_batch(pixels, batch_size // processes, generator, shares)
        prediction = model(scheduler.add_noise(x0, eps, t), t).sample
        loss = F.mse_loss(prediction, target(scheduler, x0, eps, t))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        before, clock = clock, time.monotonic()
        current.advance(pictures=batch_size, seconds=clock - before, loss=loss.item())
        if rank > 0:
            continue
        if due := (step + 1) % every == 0 or step + 1 == steps:
            with accelerator.autocast():
                line = current.report(held_out)
            bar.set_postfix({f"t={t}": f"{value:.4f}" for t, value in line["validation"].items()})
        if due or clock - saved > SAVE_SECONDS:
            current.save()
            saved = clock
    return current.out
