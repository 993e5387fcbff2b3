"""RestorationPipeline: a diffusers pipeline that restores pictures from linear measurements."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor

from . import prior
from .base import checks, devices
from .base.checks import Refusal
from .measurement import Generators, Measurement
from .operators.two_functions import ImplicitOperator
from .prior.step_sizes import StepSizes
from .samplers import BEST, METHODS, WITHOUT_SVD
from .samplers.walk import Denoise, State, Step, walk
from .schedule import Schedule, predicted_x0
from .settings import Complete, Settings


@dataclass
class RestorationOutput(BaseOutput):
    """What a restoration gives, of B measurements with S samples of each.

    images     (B S, C, H, W), about [-1, 1]; all samples of the first measurement, then of the second
    nfe        network calls for each picture
    backprops  how many of them were back-propagated; a list of B S whole numbers
    switch     how many steps had none; likewise
    samples    (B, S, C, H, W), the same pictures by measurement
    mean       (B, C, H, W), the mean of the samples
    spread     (B, C, H, W), their standard deviation, number by number; zero where there is one sample
    """

    images: torch.Tensor
    nfe: int
    backprops: list[int]
    switch: list[int]
    samples: torch.Tensor
    mean: torch.Tensor
    spread: torch.Tensor


class RestorationPipeline(DiffusionPipeline):
    """Zero-shot restoration with the methods of ``samplers.METHODS``.

    unet        ``UNet2DModel``, or any module called as ``unet(x, timestep).sample``
    scheduler   ``DDPMScheduler``; its schedule, ``prediction_type`` and ``clip_sample`` are used
    step_sizes  ``StepSizes`` of the prior; empty for one that was not loaded from its folder
    """

    def __init__(self, unet: torch.nn.Module, scheduler: Any) -> None:
        super().__init__()
        prior.usable(unet, scheduler)
        self.register_modules(unet=unet, scheduler=scheduler)
        self.step_sizes = StepSizes()
        self.fast = False

    @classmethod
    def from_pretrained(cls, name: str = "faces64", **kwargs: Any) -> "RestorationPipeline":
        """Load a prior: a shipped name ("faces64"), a folder in diffusers' format, or a hub id "owner/name".

        Weights are read from safetensors only, computed with in float32, and need no gradient. A folder's step
        sizes come with it (``step_sizes``).
        Raises Refusal when there is no such prior, its files are damaged, or the hub is out of reach.
        """
        source = prior.locate(name)
        with prior.explained(name):
            pipe = super().from_pretrained(str(source), use_safetensors=True, dtype=torch.float32, **kwargs)
        prior.complete(pipe.unet)
        # Weights that need no gradient cost DPS less, in seconds and in memory; channels last does so on a CPU.
        pipe.unet.requires_grad_(False).to(memory_format=torch.channels_last)
        pipe.step_sizes = prior.sizes_of(source, pipe.unet)
        return pipe

    @property
    def device(self) -> torch.device:
        """Where the network's tensors are; the CPU for a network without any."""
        return next(chain(self.unet.parameters(), self.unet.buffers()), torch.empty(0)).device

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's pictures."""
        config = self.unet.config
        return config.in_channels, config.sample_size, config.sample_size

    @property
    def size(self) -> int:
        """Side of the network's pictures, in pixels."""
        return self.unet.config.sample_size

    def digest(self) -> str:
        """SHA-256 of the network's tensors, names included, as hexadecimal; recorded with every result."""
        return prior.digest(self.unet)

    def speed_up(self) -> "RestorationPipeline":
        """From now on, forward passes in bfloat16, all that is not back-propagated.

        Pictures stay within 45 dB of those in float32. Passes that are back-propagated stay in float32: in
        bfloat16 DPS's pictures end further off.
        Raises Refusal where the device has no arithmetic for bfloat16, and float32 is faster.
        """
        if not devices.computes_bfloat16(self.device):
            raise Refusal(
                f"fast: this {self.device.type} has no arithmetic for bfloat16, and float32 is faster on it"
            )
        self.fast = True
        return self

    def denoiser(self, schedule: Schedule) -> Denoise:
        """The guess x0_hat(x_k, k) = E[x_0 | x_k] (Tweedie), clipped where the scheduler's config says so."""
        config = self.scheduler.config
        clip = float(config.clip_sample_range) if config.clip_sample else None

        def denoise(x_k: torch.Tensor, k: int) -> torch.Tensor:
            fast = self.fast and not x_k.requires_grad
            with torch.autocast(x_k.device.type, torch.bfloat16, enabled=fast):
                output = self.unet(x_k, schedule.timestep[k]).sample
            output = output.to(x_k.dtype)
            x0_hat = predicted_x0(output, x_k, schedule.alpha_bar[k], config.prediction_type)
            return x0_hat if clip is None else x0_hat.clamp(-clip, clip)

        return denoise

    def schedule(self, method: str, steps: int) -> Schedule:
        """The ``Schedule`` of so many steps, spaced as the method's line in ``METHODS`` says."""
        return METHODS[method].schedule(self.scheduler, steps)

    def step(
        self, method: str, settings: Complete, schedule: Schedule, shape: tuple[int, ...], **told: Any
    ) -> Step:
        """A method's step for pictures (C, H, W), with completed ``settings``; ``told`` are other arguments of its maker."""
        kind, open_at, levels = METHODS[method], self.step_sizes, schedule.s[1:]
        given = dict(vars(settings))
        if "r2" in kind.parameters:
            given["r2"] = (0.0, *(open_at.left_open(s**2) for s in levels))
        if "spectrum" in kind.parameters:
            by_wave = (open_at.left_open_by_wave(s**2, shape) for s in levels)
            given["spectrum"] = (torch.zeros(shape), *by_wave)
        return kind.step(self.denoiser(schedule), schedule, given, **told)

    def walk(
        self,
        measurement: Measurement,
        method: str = BEST,
        settings: Settings = Settings(),
        generator: Generators = None,
        x: torch.Tensor | None = None,
        start: int | None = None,
    ) -> Iterator[State]:
        """The restoration step by step, from ``x`` at ``start`` on where they are given, see ``samplers.walk``.

        The other arguments and the errors are those of a call.
        """
        m = self.fitting(measurement, method)
        checks.generators(generator, len(m))
        done = self.complete(settings, method, m.A.name)
        schedule, shape = self.schedule(method, done.steps), (len(m), *m.A.image_shape)
        noise = lambda: randn_tensor(shape, generator=generator, device=m.y.device, dtype=m.y.dtype)
        return walk(self.step(method, done, schedule, shape[1:]), schedule, m, noise, x, start)

    def complete(self, settings: Settings, method: str, task: str) -> Complete:
        """``settings`` with the defaults for this prior, see ``Settings.complete``."""
        return settings.complete(method, task, self.step_sizes, len(self.scheduler.alphas_cumprod))

    def __call__(
        self,
        measurement: Measurement,
        method: str = BEST,
        num_inference_steps: int | None = None,
        switch: int | str | None = None,
        zeta: float | None = None,
        lam: float | None = None,
        generator: Generators = None,
        callback_on_step_end: Callable[..., dict | None] | None = None,
        num_samples: int = 1,
    ) -> RestorationOutput:
        """Restore pictures from measurements y = A x_0 + sigma n.

        measurement  ``Measurement`` of B pictures, from ``A.measure`` or of one's own
        method       a name in ``samplers.METHODS``
        num_inference_steps, switch, zeta, lam  see ``Settings``; None is its default
        generator    a CPU ``torch.Generator``, or a list with one for each picture, B times ``num_samples``
        callback_on_step_end  (pipe, step index, timestep, {"latents": x, "x0_hat": guess}) -> dict,
                     as in diffusers; a returned "latents" replaces x
        num_samples  S, how often each measurement is restored, with noise of its own each time

        Raises Refusal for arguments outside these ranges, before the first network call.
        """
        count = checks.whole("num_samples", num_samples)
        m = self.fitting(measurement)
        m = m[torch.arange(len(m)).repeat_interleave(count)]
        settings = self.complete(Settings(num_inference_steps, switch, zeta, lam), method, m.A.name)
        t, timestep = settings.steps, self.schedule(method, settings.steps).timestep
        states = self.walk(m, method, settings, generator)
        with self.progress_bar(total=t) as bar:  # pyright: ignore
            for state in states:
                if callback_on_step_end is not None:
                    latents = {"latents": state.x, "x0_hat": state.x0_hat}
                    answer = callback_on_step_end(self, t - state.k, timestep[state.k], latents)
                    state.x = (answer or latents).get("latents", state.x)
                bar.update()
        samples = state.x.unflatten(0, (-1, count))
        calls, backprops = zip(*(METHODS[method].divided(passes, t) for passes in state.passes.tolist()))
        spread = samples.std(1, correction=min(1, count - 1))
        return RestorationOutput(
            state.x, calls[0], list(backprops), [t - b for b in backprops], samples, samples.mean(1), spread
        )

    def fitting(self, measurement: object, method: str | None = None) -> Measurement:
        """The measurement on the network's device and in its precision.

        Raises Refusal for what is none, for entries that are not finite, for pictures of another size
        than the network's, and for an operator that the method cannot use.
        """
        if not isinstance(measurement, Measurement):
            raise Refusal(
                f"measurement: a {type(measurement).__name__} is not accepted; give A.measure(x0, sigma) "
                "or Measurement(y, A, sigma)"
            )
        if measurement.y.is_meta or not measurement.y.isfinite().all():
            raise Refusal("y: holds entries that are not finite numbers; all must be")
        config = getattr(self.unet, "config", None)
        if hasattr(config, "sample_size") and tuple(measurement.A.image_shape) != self.image_shape:
            raise Refusal(
                f"measurement: is of pictures {tuple(measurement.A.image_shape)}, and the prior makes "
                f"{self.image_shape}; give pictures (C, H, W) of the prior's size"
            )
        if isinstance(measurement.A, ImplicitOperator) and method in METHODS.keys() - WITHOUT_SVD:
            raise Refusal(
                f"method: {method} needs the singular vectors of A, which an operator of two functions lacks; "
                f"accepted are {', '.join(WITHOUT_SVD)}"
            )
        dtype = getattr(self.unet, "dtype", measurement.y.dtype)
        return measurement.to(torch.empty(0, device=self.device, dtype=dtype))
