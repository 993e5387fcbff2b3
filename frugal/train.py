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

from . import images
from .pipeline import RestorationPipeline
from .schedule import predicted_x0

CHANNELS = (32, 64, 128, 192)
EMA_DECAY = 0.9999  # the limit; while the run is young the mean is over about its last ninth
WARM_UP = 500  # steps over which the learning rate rises
SAVE_SECONDS = 240  # between two saved states
NOISE_LEVELS = (50, 200, 400, 600, 800)  # where the validation loss is taken
NOISES = 64  # fixed noises that the held-out pictures share in turn
SHEET = 4  # side of a sheet of samples, in pictures
HELD_OUT = 128  # at most so many pictures make the validation loss


def read_pictures(sources, size, crop=None):
    """Pictures of several sources as one uint8 tensor (N, 3, size, size).

    A source is a folder of pictures, cut and resized as in ``images.load``, or a ``.npy`` file of
    uint8 (N, size, size, 3). A picture that cannot be read is named on stderr, left out and counted.
    Raises ValueError for a source without a readable picture and for pictures smaller than the model.
    """
    if crop and crop < size:
        raise ValueError(f"crop: {crop} is smaller than the model; give {size} or more")
    parts = [unpack(s, size) if Path(s).suffix == ".npy" else decode(s, size, crop) for s in sources]
    return torch.from_numpy(np.concatenate(parts)).movedim(-1, 1).contiguous()


def unpack(path, size):
    """The array of a ``.npy`` file, uint8 (N, size, size, 3); never unpickles."""
    wanted = f"a .npy file of uint8 (N, {size}, {size}, 3)"
    try:
        pixels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise ValueError(f"images: {path} cannot be read; give {wanted}") from None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3) or not len(pixels):
        raise ValueError(f"images: {path} holds {pixels.dtype} {pixels.shape}; give {wanted}")
    return pixels


def decode(folder, size, crop):
    """The pictures of a folder as uint8 (N, size, size, 3)."""
    pixels, paths, smallest = [], images.find(folder), crop or size
    for path in tqdm(paths, desc=f"reading {folder}", disable=None):
        try:
            with Image.open(path) as header:
                side = min(header.size)
            if side >= smallest:
                pixels.append(images.to_uint8(images.load(path, size, crop)))
        except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
            print(f"skipped: {path} cannot be read as a picture", file=sys.stderr)
            continue
        if side < smallest:
            raise ValueError(
                f"images: {path} has a side of {side} pixels; give pictures of {smallest} or more"
            )
    if not pixels:
        raise ValueError(f"images: no picture in {folder} can be read; give whole PNG or JPEG files")
    if skipped := len(paths) - len(pixels):
        print(f"{skipped} of {len(paths)} pictures of {folder} skipped", file=sys.stderr)
    return np.stack(pixels)


def split(sources, val, size, crop):
    """Pictures to train on and pictures held out, two uint8 tensors (N, 3, size, size)."""
    pixels = read_pictures(sources, size, crop)
    if val:
        held_out = read_pictures(val, size, crop)
        return pixels, held_out[:: math.ceil(len(held_out) / HELD_OUT)]
    if len(pixels) < 2:
        raise ValueError("images: one picture is too few; give two or more")
    held_out = torch.arange(len(pixels)) % max(2, math.ceil(len(pixels) / HELD_OUT)) == 0
    return pixels[~held_out], pixels[held_out]


def new_prior(size, channels, seed):
    """An untrained network with attention on its two coarsest levels, and its noise schedule.

    The linear schedule of Ho et al. (2020). The network predicts v (Salimans and Ho, 2022): the
    error of v is that of epsilon divided by alpha_bar, so the layout of a picture, which is settled
    where alpha_bar is small, weighs as much in the loss as its texture.
    """
    if size % 2 ** (len(channels) - 1) or len(channels) < 2 or any(c < 1 or c % 32 for c in channels):
        raise ValueError(
            f"channels: {list(channels)} do not suit size {size}; give multiples of 32, "
            "two or more levels, each of which halves the size"
        )
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


def load_prior(name, size):
    """Network and schedule of a prior that ``RestorationPipeline.from_pretrained`` takes."""
    pipe = RestorationPipeline.from_pretrained(name)
    if pipe.unet.config.sample_size != size:
        raise ValueError(
            f"init: {name} is a prior for {pipe.unet.config.sample_size} pixels, not size {size}"
        )
    return pipe.unet.to(memory_format=torch.contiguous_format), pipe.scheduler  # as safetensors wants it


def target(scheduler, x0, eps, t):
    """What the network learns to predict: epsilon, v (Eq. a1) or x_0, as the schedule says."""
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        return scheduler.get_velocity(x0, eps, t)
    return eps if kind == "epsilon" else x0


def level_shares(scheduler, min_snr=None):
    """Share of the training pictures that get noise level t or less, (T,), increasing to 1.

    All levels alike, or as often as min-SNR-gamma weighs them (Hang et al., 2023): the squared error of
    x_0 by min(SNR, gamma), with SNR = alpha_bar / (1 - alpha_bar) and gamma = ``min_snr``.
    """
    snr = scheduler.alphas_cumprod / (1 - scheduler.alphas_cumprod)
    weight = torch.ones_like(snr)
    if min_snr is not None:
        # squared error of what the network predicts where that of x_0 is 1: Eq. a3 (page A)
        error = {"epsilon": snr, "sample": 1, "v_prediction": snr + 1}[scheduler.config.prediction_type]
        weight = snr.clamp(max=min_snr) / error
    return weight.cumsum(0) / weight.sum()


def draw_batch(pixels, batch_size, generator, shares):
    """Pictures x_0 (B, 3, S, S) in [-1, 1], half of them flipped, noise of that shape, t (B,) in 0..T-1.

    ``shares`` (T,) says how often each t comes, see ``level_shares``. The values of t are spread evenly
    from one random start, which makes the loss vary less than independent ones do (Kingma et al., 2021).
    """
    draw = {"generator": generator, "device": generator.device}
    x0 = pixels[torch.randint(len(pixels), (batch_size,), **draw)].float() / 127.5 - 1
    x0 = torch.where(torch.rand(batch_size, 1, 1, 1, **draw) < 0.5, x0.flip(-1), x0)
    spread = torch.arange(batch_size, device=generator.device) / batch_size
    t = torch.searchsorted(shares, (torch.rand(1, **draw) + spread) % 1)
    return x0, torch.randn(x0.shape, **draw), t.clamp(max=len(shares) - 1)


@torch.no_grad()
def validation_loss(unet, scheduler, pixels, batch_size=32):
    """E||eps - eps_theta(x_t, t)||^2 a pixel over all pictures, {t: loss} for ``NOISE_LEVELS``.

    The error of epsilon whatever the network predicts, so that priors compare; that of x_0 is
    (1 - alpha_bar) / alpha_bar times it. The noises are the same each time.
    """
    noises = torch.randn(NOISES, *pixels.shape[1:], generator=torch.Generator().manual_seed(0))
    losses = dict.fromkeys(NOISE_LEVELS, 0.0)
    for level in NOISE_LEVELS:
        alpha_bar = scheduler.alphas_cumprod[level].item()
        for start in range(0, len(pixels), batch_size):
            x0 = pixels[start : start + batch_size].float() / 127.5 - 1
            eps = noises[torch.arange(start, start + len(x0)) % NOISES].to(x0.device)
            t = torch.full((len(x0),), level, device=x0.device)
            x_t = scheduler.add_noise(x0, eps, t)
            output = unet(x_t, t).sample.float()
            x0_hat = predicted_x0(output, x_t, alpha_bar, scheduler.config.prediction_type)
            losses[level] += F.mse_loss(x0_hat, x0).item() * len(x0) / len(pixels)
        losses[level] *= alpha_bar / (1 - alpha_bar)
    return losses


@torch.no_grad()
def draw(unet, scheduler, count, steps=25, seed=0):
    """``count`` pictures drawn by the model with DDIM (Song et al., 2021) from fixed noises, (count, 3, S, S)."""
    sampler = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    sampler.set_timesteps(steps)
    size = unet.config.sample_size
    x = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed)).to(unet.device)
    for t in sampler.timesteps:
        x = sampler.step(unet(x, t).sample, t, x).prev_sample
    return x


def sheet(pictures, columns):
    """Pictures (rows * columns, 3, S, S) in reading order next to each other, (3, rows S, columns S)."""
    return torch.cat([torch.cat(list(line), -1) for line in pictures.unflatten(0, (-1, columns))], -2)


def learning_rate(step, peak, steps, decay):
    """Rises over ``WARM_UP`` steps, stays at ``peak``, falls to 0 over the last fraction ``decay`` of the run."""
    fall = (steps - step) / (decay * steps) if decay else 1
    return peak * min(1, (step + 1) / WARM_UP, fall)


@contextmanager
def writing(path):
    """Turn what can go wrong while ``path`` is written into one sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"out: {path} cannot be written ({error}); free space or give another folder"
        ) from None


@contextmanager
def whole(path):
    """A path beside ``path`` to write to, which takes its place at the end: whole or not at all."""
    partial = path.with_name(path.name + ".part")
    try:
        with writing(path):
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class Run:
    """What a training run needs to go on, and the files of its folder.

    state.safetensors   network, mean, optimizer and progress: one file, whole or absent, not pickled
    curve.jsonl         a line for each validation
    samples/            sheets of pictures that the model drew
    model_index.json, scheduler/, unet/   the averaged weights in diffusers' format
    """

    def __init__(self, out, unet, scheduler):
        self.out, self.unet, self.scheduler = Path(out), unet, scheduler
        self.averaged = deepcopy(unet).eval().requires_grad_(False)
        self.ema = EMAModel(unet.parameters(), decay=EMA_DECAY, foreach=True)
        self.optimizer = torch.optim.AdamW(unet.parameters())
        self.progress = {"step": 0, "pictures": 0, "seconds": 0.0, "loss": 0.0, "since": 0}
        self.curve = []
        with writing(self.out):
            (self.out / "samples").mkdir(parents=True, exist_ok=True)
        self.state = self.out / "state.safetensors"
        if self.state.exists():
            self.load()

    def advance(self, **step):
        """Take one step into the mean of the weights and add its pictures, seconds and loss to the progress."""
        self.ema.step(self.unet.parameters())
        for name, value in {"step": 1, "since": 1, **step}.items():
            self.progress[name] += value

    def save(self):
        """Write the state."""
        tensors = {f"network.{name}": value for name, value in self.unet.state_dict().items()}
        tensors |= {f"mean.{i}": value for i, value in enumerate(self.ema.shadow_params)}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in moments.items()}
        metadata = {
            "progress": json.dumps(self.progress),
            "prediction_type": self.scheduler.config.prediction_type,
        }
        with whole(self.state) as partial:
            save_file(tensors, partial, metadata)

    def load(self):
        """Read what ``save`` wrote."""
        try:
            with safe_open(self.state, "pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            self.progress = json.loads(metadata["progress"])
            kind = metadata["prediction_type"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"out: {self.state} is not the state of a run; delete it or change out"
            ) from None

        def part(prefix):
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        network, mean = part("network."), part("mean.")
        shapes = {name: value.shape for name, value in self.unet.state_dict().items()}
        if {
            name: t.shape for name, t in network.items()
        } != shapes or kind != self.scheduler.config.prediction_type:
            raise ValueError(
                f"out: {self.state} is of another network; give its channels or init, or change out"
            )
        self.unet.load_state_dict(network)
        self.ema.load_state_dict(
            {
                "shadow_params": [mean[str(i)].to(self.unet.device) for i in range(len(mean))],
                "optimization_step": self.progress["step"],
            }
        )
        moments = {i: part(f"optimizer.{i}.") for i in range(len(mean))}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        if (curve := self.out / "curve.jsonl").exists():
            lines = map(json.loads, curve.read_text().splitlines())
            self.curve = [line for line in lines if line["step"] <= self.progress["step"]]

    def report(self, held_out):
        """Validate the averaged weights, write them, a sheet of samples and the curve; returns its new line."""
        self.ema.copy_to(self.averaged.parameters())
        done = self.progress
        line = {
            "step": done["step"],
            "pictures": done["pictures"],
            "seconds": round(done["seconds"]),
            "loss": done["loss"] / done["since"],
            "validation": validation_loss(self.averaged, self.scheduler, held_out),
        }
        self.curve.append(line)
        self.progress = {**done, "loss": 0.0, "since": 0}
        drawn = draw(self.averaged, self.scheduler, SHEET**2)
        images.save(sheet(drawn, SHEET), self.out / "samples" / f"{done['step']:07d}.png")
        self.export()
        with whole(self.out / "curve.jsonl") as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.curve))
        return line

    def export(self):
        """Write the averaged weights in diffusers' format, each file whole."""
        partial = self.out / "prior.part"
        try:
            with writing(self.out):
                DDPMPipeline(self.averaged, self.scheduler).save_pretrained(partial)
                for file in (path for path in partial.rglob("*") if path.is_file()):
                    final = self.out / file.relative_to(partial)
                    final.parent.mkdir(exist_ok=True)
                    os.replace(file, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


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
    Raises ValueError for settings, pictures and folders that cannot be used and when the disk is full.
    """
    for name, value in {"steps": steps, "batch_size": batch_size, "every": every, "size": size}.items():
        if value < 1:
            raise ValueError(f"{name}: {value} is too few; give 1 or more")
    if not (lr > 0 and 0 <= decay <= 1):
        raise ValueError(f"lr, decay: {lr}, {decay} are not accepted; give lr above 0 and decay from 0 to 1")
    if min_snr is not None and not min_snr > 0:
        raise ValueError(f"min_snr: {min_snr} is not accepted; give a number above 0")
    accelerator = Accelerator(mixed_precision=precision(), dynamo_backend="inductor" if compile else "no")
    processes, rank, device = accelerator.num_processes, accelerator.process_index, accelerator.device
    if batch_size % processes:
        raise ValueError(f"batch_size: {batch_size} is not a multiple of the {processes} processes")

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


def add_arguments(parser):
    """The settings of ``train`` as arguments of an argparse parser."""
    add = parser.add_argument
    add(
        "--images",
        nargs="+",
        required=True,
        help="folders of pictures, or .npy files of uint8 (N, size, size, 3)",
    )
    add(
        "--out",
        required=True,
        help="folder for the prior and the run's state; the same command goes on from it",
    )
    add("--val", nargs="+", help="held-out pictures (default: a part of --images)")
    add(
        "--crop",
        type=int,
        help="side of the centred square to cut out, 140 for aligned CelebA "
        "(default: all of the shorter side)",
    )
    add("--size", type=int, default=64, help="side of the model's pictures (default 64)")
    add(
        "--channels",
        type=int,
        nargs="+",
        default=CHANNELS,
        help="of the levels, finest first (default 32 64 128 192)",
    )
    add(
        "--init",
        help="prior whose weights, shape and schedule to start from: a shipped name, a folder, a hub id",
    )
    add("--steps", type=int, default=60_000, help="(default 60000)")
    add("--batch-size", type=int, default=16, help="pictures a step, over all processes (default 16)")
    add("--lr", type=float, default=3e-4, help="peak learning rate (default 3e-4)")
    add(
        "--decay",
        type=float,
        default=0.2,
        help="last fraction of the steps, where the rate falls to 0 (default 0.2)",
    )
    add(
        "--min-snr",
        type=float,
        help="gamma of the min-SNR weights, by which noise levels are drawn, 5 in its paper "
        "(default: all levels alike)",
    )
    add("--every", type=int, default=1000, help="steps between validations (default 1000)")
    add("--seed", type=int, default=0)
    add("--compile", action="store_true", help="use torch.compile; on a CPU it needs a C++ compiler")


def run(args):
    """``frugal train``: ``train`` with the parsed arguments."""
    settings = {name: value for name, value in vars(args).items() if name in train.__kwdefaults__}
    print(train(args.images, args.out, **settings))
