"""RestorationPipeline: a diffusers pipeline that restores pictures from linear measurements."""

import hashlib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput, logging
from diffusers.utils.torch_utils import randn_tensor

from . import samplers
from .operators import check_at_least_zero
from .schedule import Schedule, predicted_x0

METHODS = ("dps", "dmps", "hybrid")
SHIPPED = Path(__file__).parent / "priors"

# Chosen on CelebA validation faces that no table uses; notebooks/07_hybrid shows the sweep.
# zeta is DPS's step at 100 steps (at t steps zeta * 100 / t is used), lam is DMPS's.
HYPERPARAMETERS = {"zeta": {"sr4": 12.0, "sr16": 10.0, "inpaint-box": 3.0}, "zeta_default": 6.0, "lam": 1.0}


def default_zeta(task, num_inference_steps):
    """DPS's step for a task: the tuned value at 100 steps, larger in proportion where steps are fewer."""
    return HYPERPARAMETERS["zeta"].get(task, HYPERPARAMETERS["zeta_default"]) * 100 / num_inference_steps


@dataclass
class RestorationOutput(BaseOutput):
    """images (B, C, H, W), about [-1, 1]; switch, how many of each picture's last steps were DMPS;
    nfe, network calls for each picture; backprops, how many of them were back-propagated, (B,)."""

    images: torch.Tensor
    switch: list
    nfe: int
    backprops: list


class RestorationPipeline(DiffusionPipeline):
    """Zero-shot restoration with DPS, DMPS or the poster's hybrid.

    unet       ``UNet2DModel``, or any module called as ``unet(x, timestep).sample``
    scheduler  ``DDPMScheduler``; its schedule, ``prediction_type`` and ``clip_sample`` are used
    """

    def __init__(self, unet, scheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @classmethod
    def from_pretrained(cls, prior="faces64", **kwargs):
        """Load a prior: a shipped name ("faces64"), a folder in diffusers' format, or a hub id "owner/name".

        Weights are read from safetensors only and computed with in float32.
        Raises ValueError when there is no such prior, its files are damaged, or the hub is out of reach.
        """
        shipped = SHIPPED / str(prior)
        is_folder = Path(prior).is_dir()
        if not shipped.is_dir() and not is_folder and str(prior).count("/") != 1:
            names = ", ".join(sorted(p.name for p in SHIPPED.iterdir()))
            raise ValueError(
                f"prior: {str(prior)!r} is no shipped prior ({names}), no folder and no hub id of the form owner/name"
            )
        source = shipped if shipped.is_dir() else prior
        logging.disable_progress_bar()  # two small files need none
        try:
            return super().from_pretrained(str(source), use_safetensors=True, dtype=torch.float32, **kwargs)
        except Exception as error:  # diffusers, safetensors and the hub raise a dozen unrelated kinds
            if shipped.is_dir() or is_folder:
                reason = f"{source} holds no whole UNet2DModel and DDPMScheduler in diffusers' format with safetensors weights"
            else:
                reason = (
                    f"{prior} is not in the local Hugging Face cache and the hub did not give it; download it where "
                    "there is a network and pass the folder that holds its model_index.json"
                )
            raise ValueError(f"prior: {reason} ({type(error).__name__})") from error
        finally:
            logging.enable_progress_bar()

    @property
    def device(self):
        """Where the network's tensors are; the CPU for a network without any."""
        return next(chain(self.unet.parameters(), self.unet.buffers()), torch.empty(0)).device

    def digest(self):
        """SHA-256 of the network's tensors, names included, as hexadecimal; recorded with every result."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.unet.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def denoiser(self, schedule):
        """The guess x0_hat(x_k, k) = E[x_0 | x_k] (Tweedie), clipped where the scheduler's config says so."""
        config = self.scheduler.config
        clip = config.clip_sample_range

        def denoise(x_k, k):
            output = self.unet(x_k, schedule.timestep[k]).sample
            x0_hat = predicted_x0(output, x_k, schedule.alpha_bar[k], config.prediction_type)
            return x0_hat.clamp(-clip, clip) if config.clip_sample else x0_hat

        return denoise

    def __call__(
        self,
        y,
        A,
        sigma,
        method="hybrid",
        num_inference_steps=100,
        switch=None,
        zeta=None,
        lam=None,
        generator=None,
        callback_on_step_end=None,
    ):
        """Restore pictures from measurements y = A x_0 + sigma n.

        y          (B, *A.measurement_shape)
        sigma      standard deviation of the noise in [-1, 1] units, >= 0
        method     "dps", "dmps" or "hybrid"
        switch     how many of the hybrid's last steps are DMPS, 0..num_inference_steps, half of them by
                   default; or "collapse" to find it picture by picture; dps and dmps have no use for it
        zeta, lam  step of DPS and of DMPS; by default the tuned values
        generator  a CPU ``torch.Generator``, or a list with one for each picture
        callback_on_step_end  (pipe, step index, timestep, {"latents": x, "x0_hat": guess}) -> dict,
                   as in diffusers; a returned "latents" replaces x

        Returns RestorationOutput. Raises ValueError for arguments outside these ranges.
        """
        schedule = Schedule.from_scheduler(self.scheduler, num_inference_steps)
        switch = self.check_inputs(y, A, sigma, method, schedule.t, switch, generator)
        zeta = default_zeta(A.name, schedule.t) if zeta is None else check_at_least_zero("zeta", zeta)
        lam = HYPERPARAMETERS["lam"] if lam is None else check_at_least_zero("lam", lam)
        y = y.to(self.device)
        shape = (len(y), *A.image_shape)

        def noise():
            return randn_tensor(shape, generator=generator, device=y.device, dtype=y.dtype)

        with self.progress_bar(total=schedule.t) as bar:

            def callback(k, x, x0_hat):
                if callback_on_step_end is not None:
                    state = {"latents": x, "x0_hat": x0_hat}
                    answer = callback_on_step_end(self, schedule.t - k, schedule.timestep[k], state)
                    x = (answer or state).get("latents", x)
                bar.update()
                return x

            denoise = self.denoiser(schedule)
            if method == "dps":
                x = samplers.dps(denoise, schedule, y, A, zeta, noise, callback)
            elif method == "dmps":
                x = samplers.dmps(denoise, schedule, y, A, sigma, lam, noise, callback)
            else:
                x, switch = samplers.hybrid(
                    denoise, schedule, y, A, sigma, zeta, lam, switch, noise, callback
                )
        switches = switch.tolist() if method == "hybrid" else [0 if method == "dps" else schedule.t] * len(y)
        return RestorationOutput(x, switches, schedule.t, [schedule.t - k for k in switches])

    def check_inputs(self, y, A, sigma, method, t, switch, generator):
        """Raise ValueError for arguments that __call__ does not accept; return the hybrid's switch."""
        if method not in METHODS:
            raise ValueError(f"method: {method!r} is unknown; accepted are {', '.join(METHODS)}")
        check_at_least_zero("sigma", sigma)
        if y.ndim == 0 or tuple(y.shape[1:]) != tuple(A.measurement_shape) or not len(y):
            expected = ", ".join(map(str, A.measurement_shape))
            raise ValueError(f"y: shape {tuple(y.shape)} does not fit {A.name}; expected (B, {expected})")
        if not (y.is_floating_point() and y.isfinite().all()):
            raise ValueError("y: holds entries that are not finite floating-point numbers; all must be")
        if isinstance(generator, list) and len(generator) != len(y):
            raise ValueError(
                f"generator: {len(generator)} were given for {len(y)} pictures; give one, or one for each"
            )
        switch = t // 2 if switch is None else switch
        whole = isinstance(switch, int) and not isinstance(switch, bool)
        if switch != "collapse" and not (whole and 0 <= switch <= t):
            raise ValueError(
                f"switch: {switch!r} is not accepted; give a whole number from 0 to {t}, or 'collapse'"
            )
        return switch
