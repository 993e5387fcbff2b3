"""Train a prior: a diffusers UNet2DModel with a DDPMScheduler, on folders of pictures.

Everything random in step n comes from a generator seeded by n, so a run that was killed and
started again goes through the same steps as one that was not.
"""
import json
import math
import os
import shutil
import sys
import time
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from frugal import images

NOISE_LEVELS = (50, 200, 400, 600, 800)
NOISES = 64  # fixed noises that the held-out pictures share in turn
HELD_OUT = 256  # at most so many pictures make the validation loss
SAVE_SECONDS = 240  # between two saved states
WARM_UP = 500  # steps over which the learning rate rises
EMA_DECAY = 0.9999  # its limit; at first the mean is over the last ninth of the steps
CHANNELS = (32, 64, 128, 256)


def read_pictures(sources, size, crop=None):
    """Pictures of several sources as one uint8 tensor (N, 3, size, size).

    A source is a folder of pictures, each cut to its centred ``crop`` and resized as in
    ``images.load``, or a ``.npy`` file of uint8 (N, size, size, 3). A picture that cannot be read is
    named on stderr, left out and counted. Raises ValueError for a source without any readable
    picture and for a picture smaller than the model.
    """
    parts = [_unpack(s, size) if Path(s).suffix == ".npy" else _decode(s, size, crop) for s in sources]
    return torch.from_numpy(np.concatenate(parts)).movedim(-1, 1).contiguous()


def _unpack(path, size):
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        raise ValueError(f"images: {path} cannot be read; give a .npy file of uint8 (N, {size}, {size}, 3)") from None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3) or not len(pixels):
        raise ValueError(f"images: {path} holds {pixels.dtype} {pixels.shape}; accepted is uint8 (N, {size}, {size}, 3)")
    return pixels


def _decode(folder, size, crop):
    pixels, paths = [], images.find(folder)
    for path in tqdm(paths, desc=f"reading {folder}", disable=None):
        try:
            with Image.open(path) as header:
                side = min(crop or size, *header.size)
            if side >= size:
                pixels.append(images.to_uint8(images.load(path, size, crop)))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            print(f"skipped: {path} cannot be read as a picture", file=sys.stderr)
            continue
        if side < size:
            raise ValueError(f"images: {path} is smaller than the model; give at least {size} pixels a side")
    if skipped := len(paths) - len(pixels):
        print(f"{skipped} of {len(paths)} pictures of {folder} skipped", file=sys.stderr)
    if not pixels:
        raise ValueError(f"images: no picture in {folder} can be read; give whole PNG or JPEG files")
    return np.stack(pixels)


def split(sources, val, size, crop):
    """Pictures to train on and pictures held out, two uint8 tensors (N, 3, size, size)."""
    pixels = read_pictures(sources, size, crop)
    if val:
        return pixels, read_pictures(val, size, crop)[:HELD_OUT]
    if len(pixels) < 2:
        raise ValueError(f"images: {len(pixels)} picture is too few; give two or more")
    held_out = torch.arange(len(pixels)) % max(2, len(pixels) // HELD_OUT) == 0
    return pixels[~held_out], pixels[held_out][:HELD_OUT]


def new_prior(size, channels, seed):
    """An untrained network with attention on its two coarsest levels, and its noise schedule.

    The linear schedule of Ho et al. (2020). The network predicts v (Salimans and Ho, 2022): the
    error of v is that of epsilon divided by alpha_bar, so the layout of a picture, which is settled
    where alpha_bar is small, weighs as much in the loss as its texture.
    """
    torch.manual_seed(seed)
    coarse = [level >= len(channels) - 2 for level in range(len(channels))]
    unet = UNet2DModel(
        sample_size=size,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=["AttnDownBlock2D" if c else "DownBlock2D" for c in coarse],
        up_block_types=["AttnUpBlock2D" if c else "UpBlock2D" for c in reversed(coarse)],
        norm_num_groups=8,
        attention_head_dim=32,
    )
    return unet, DDPMScheduler(1000, prediction_type="v_prediction")


def load_prior(folder, size):
    """Network and schedule of a folder in diffusers' format (safetensors only)."""
    try:
        unet = UNet2DModel.from_pretrained(folder, subfolder="unet", use_safetensors=True)
        scheduler = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"init: {folder} holds no prior in diffusers' format ({reason})") from None
    if unet.config.sample_size != size:
        raise ValueError(f"init: the prior in {folder} is for {unet.config.sample_size} pixels, not size = {size}")
    return unet, scheduler


def target(scheduler, x0, eps, t):
    """What the network learns to predict at step t: epsilon, v or x0, as the schedule says."""
    kind = scheduler.config.prediction_type
    return {"epsilon": lambda: eps, "v_prediction": lambda: scheduler.get_velocity(x0, eps, t), "sample": lambda: x0}[kind]()


def draw_batch(pixels, batch_size, generator, num_steps):
    """x0 (B, 3, S, S) in [-1, 1], each flipped with probability 1/2, noise of that shape, and t (B,).

    The B values of t are spread evenly with a common random shift (Kingma et al., 2021), which
    gives the loss less variance than independent ones.
    """
    device = generator.device
    index = torch.randint(len(pixels), (batch_size,), generator=generator, device=device)
    x0 = pixels[index].float() / 127.5 - 1
    flip = torch.rand(batch_size, 1, 1, 1, generator=generator, device=device) < 0.5
    x0 = torch.where(flip, x0.flip(-1), x0)
    eps = torch.randn(x0.shape, generator=generator, device=device)
    shift = torch.rand(1, generator=generator, device=device)
    t = ((shift + torch.arange(batch_size, device=device) / batch_size) % 1 * num_steps).long()
    return x0, eps, t.clamp(max=num_steps - 1)


@torch.no_grad()
def validation_loss(unet, scheduler, pixels, batch_size=32):
    """{t: E||eps - eps_theta(x_t, t)||^2 a pixel} over all pictures, for each of ``NOISE_LEVELS``.

    The error of epsilon whatever the network predicts, so that priors compare; that of x0 is
    (1 - alpha_bar) / alpha_bar times as large. The same noises every time.
    """
    noises = torch.randn(NOISES, *pixels.shape[1:], generator=torch.Generator().manual_seed(0))
    losses = {}
    for level in NOISE_LEVELS:
        a = scheduler.alphas_cumprod[level].item()
        scale = {"epsilon": 1, "v_prediction": a, "sample": a / (1 - a)}[scheduler.config.prediction_type]
        total = 0.0
        for start in range(0, len(pixels), batch_size):
            x0 = pixels[start : start + batch_size].float() / 127.5 - 1
            eps = noises[torch.arange(start, start + len(x0)) % NOISES].to(x0.device)
            t = torch.full((len(x0),), level, device=x0.device)
            error = unet(scheduler.add_noise(x0, eps, t), t).sample.float() - target(scheduler, x0, eps, t)
            total += error.square().mean().item() * len(x0)
        losses[level] = scale * total / len(pixels)
    return losses


@torch.no_grad()
def draw_samples(unet, scheduler, count=16, steps=50):
    """Pictures (count, 3, S, S) in [-1, 1] that the model draws with DDIM, from the same noise every time."""
    sampler = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    sampler.set_timesteps(steps)
    size = unet.config.sample_size
    x = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0)).to(unet.device)
    for t in sampler.timesteps:
        x = sampler.step(unet(x, t).sample, t, x).prev_sample
    return x.clamp(-1, 1)


def learning_rate(step, peak, steps, decay):
    """Rises over ``WARM_UP`` steps, stays at ``peak``, falls to 0 over the last fraction ``decay`` of the run."""
    fall = (steps - step) / (decay * steps) if decay else 1
    return peak * min(1, (step + 1) / WARM_UP, fall)


@contextmanager
def whole(path):
    """A path to write to that becomes ``path`` at the end: the file is whole or it is not there."""
    partial = path.with_name(path.name + ".part")
    try:
        yield partial
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"out: {path} cannot be written ({error}); free some space or give another folder") from None
    finally:
        partial.unlink(missing_ok=True)


def save_state(path, progress, unet, ema, optimizer):
    """Write all that a run needs to go on into one safetensors file: nothing to unpickle."""
    tensors = {f"network.{name}": value for name, value in unet.state_dict().items()}
    tensors |= {f"mean.{i}": value for i, value in enumerate(ema.shadow_params)}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value for name, value in moments.items()}
    with whole(path) as partial:
        save_file(tensors, partial, metadata={"progress": json.dumps(progress)})


def read_curve(out):
    path = out / "curve.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_curve(out, curve):
    with whole(out / "curve.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in curve))


def sheet(x):
    """Pictures (16, C, H, W) side by side, (C, 4 H, 4 W)."""
    return x.unflatten(0, (4, 4)).permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)


def load_state(path, unet, ema, optimizer):
    """Read what ``save_state`` wrote into network, mean and optimizer; returns the progress."""
    try:
        with safe_open(path, "pt") as file:
            progress = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        raise ValueError(f"out: {path} is no saved state of this trainer; remove it or give another folder") from None
    parts = {"network": {}, "mean": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, key = name.split(".", 1)
        parts[part][key] = tensor
    try:
        unet.load_state_dict(parts["network"])
    except RuntimeError:
        raise ValueError(f"out: {path} is of a network of another shape; give its channels or another folder") from None
    ema.load_state_dict({
        "shadow_params": [parts["mean"][str(i)].to(unet.device) for i in range(len(parts["mean"]))],
        "optimization_step": progress["step"],
    })
    moments = {}
    for key, tensor in parts["optimizer"].items():
        i, name = key.split(".")
        moments.setdefault(int(i), {})[name] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress


def export(folder, unet, scheduler):
    """Write the prior in diffusers' format, each file whole."""
    partial = folder / "prior.part"
    try:
        DDPMPipeline(unet, scheduler).save_pretrained(partial, safe_serialization=True)
        for path in (p for p in partial.rglob("*") if p.is_file()):
            final = folder / path.relative_to(partial)
            final.parent.mkdir(exist_ok=True)
            os.replace(path, final)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"out: {folder} cannot be written ({error}); free some space or give another folder") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def train(
    sources, out, *, val=None, crop=None, size=64, channels=CHANNELS, init=None, steps=60_000, batch_size=32,
    lr=4e-4, decay=0.3, every=1000, seed=0, precision="bf16", compile=False,
):
    """Train a prior on the pictures of ``sources``; see ``add_arguments`` for the settings.

    ``out`` becomes a folder that ``from_pretrained`` loads (the averaged weights), and holds beside
    it ``curve.jsonl`` (a line per ``every`` steps), ``samples/`` (pictures the model drew) and
    ``state.safetensors``, from which the same call goes on after an interruption. Raises ValueError
    for pictures or folders that cannot be used and when the disk is full.
    """
    accelerator = Accelerator(mixed_precision=precision, dynamo_backend="inductor" if compile else "no")
    world, rank, device = accelerator.num_processes, accelerator.process_index, accelerator.device
    if batch_size % world:
        raise ValueError(f"batch_size: {batch_size} is not a multiple of the {world} processes")
    pixels, held_out = (part.to(device) for part in split(sources, val, size, crop))

    unet, scheduler = load_prior(init, size) if init else new_prior(size, channels, seed)
    unet.to(device)
    averaged = deepcopy(unet).eval().requires_grad_(False)
    ema = EMAModel(unet.parameters(), decay=EMA_DECAY, foreach=True)
    optimizer = torch.optim.AdamW(unet.parameters(), lr)

    out = Path(out)
    try:
        (out / "samples").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out: {out} cannot be made ({error.strerror}); give a folder that can be written") from None
    state = out / "state.safetensors"
    progress, curve = {"step": 0, "seconds": 0.0, "loss": 0.0, "since": 0}, []
    if state.exists():
        progress = load_state(state, unet, ema, optimizer)
        curve = [line for line in read_curve(out) if line["step"] <= progress["step"]]
    model, optimizer = accelerator.prepare(unet, optimizer)

    generator = torch.Generator(device)
    clock = saved = time.monotonic()
    for step in (bar := tqdm(range(progress["step"], steps), initial=progress["step"], total=steps, disable=rank > 0)):
        generator.manual_seed((seed << 40) + step * world + rank)
        optimizer.param_groups[0]["lr"] = learning_rate(step, lr, steps, decay)
        x0, eps, t = draw_batch(pixels, batch_size // world, generator, scheduler.config.num_train_timesteps)
        prediction = model(scheduler.add_noise(x0, eps, t), t).sample
        loss = F.mse_loss(prediction, target(scheduler, x0, eps, t))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(unet.parameters())

        clock, before = time.monotonic(), clock
        progress["step"] = step + 1
        progress["seconds"] += clock - before
        progress["loss"] += loss.item()
        progress["since"] += 1
        due = (step + 1) % every == 0 or step + 1 == steps
        if rank == 0 and due:
            ema.copy_to(averaged.parameters())
            with accelerator.autocast():
                losses = validation_loss(averaged, scheduler, held_out)
                samples = draw_samples(averaged, scheduler)
            curve.append({
                "step": step + 1,
                "pictures": (step + 1) * batch_size,
                "seconds": round(progress["seconds"]),
                "loss": progress["loss"] / progress["since"],
                "validation": losses,
            })
            progress.update(loss=0.0, since=0)
            bar.set_postfix({f"t={t}": f"{value:.4f}" for t, value in losses.items()})
            images.save(sheet(samples), out / "samples" / f"{step + 1:07d}.png")
            export(out, averaged, scheduler)
            write_curve(out, curve)
        if rank == 0 and (due or clock - saved > SAVE_SECONDS):
            save_state(state, progress, unet, ema, optimizer)
            saved = clock
    return out


def add_arguments(parser):
    """The settings of ``train`` on an argparse parser."""
    parser.add_argument("--images", nargs="+", required=True, metavar="DIR",
                        help="folders of pictures, or .npy files of uint8 (N, size, size, 3)")
    parser.add_argument("--out", required=True, help="folder of the prior and of the run's state; the same call resumes")
    parser.add_argument("--val", nargs="+", metavar="DIR", help="held-out pictures (default: a part of --images)")
    parser.add_argument("--crop", type=int, help="side of the centred square that is used, in pixels (140 for CelebA)")
    parser.add_argument("--size", type=int, default=64, help="side of the model's pictures")
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS, help="of the network, finest level first")
    parser.add_argument("--init", metavar="PRIOR", help="start from this prior's weights, shape and schedule")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--batch-size", type=int, default=32, help="pictures a step, over all processes")
    parser.add_argument("--lr", type=float, default=4e-4, help="peak learning rate")
    parser.add_argument("--decay", type=float, default=0.3, help="last fraction of the steps, where the rate falls to 0")
    parser.add_argument("--every", type=int, default=1000, help="steps between validations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("bf16", "no"), default="bf16", help="bf16 autocast, or float32 throughout")
    parser.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler on a CPU")


def run(args):
    """``frugal train``."""
    print(train(
        args.images, args.out, val=args.val, crop=args.crop, size=args.size, channels=args.channels, init=args.init,
        steps=args.steps, batch_size=args.batch_size, lr=args.lr, decay=args.decay, every=args.every, seed=args.seed,
        precision=args.precision, compile=args.compile,
    ))
