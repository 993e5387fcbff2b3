"""The pipeline: ends of the switch, batches, prediction types, loading, and every bad argument."""

import shutil

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler
from diffusers.models.unets.unet_2d import UNet2DOutput
from examples import small_pipe

from frugal import Measurement, RestorationPipeline, images, metrics, operators
from frugal.base.checks import Refusal
from frugal.operators import two_functions
from frugal.samplers import METHODS, WITHOUT_SVD
from frugal.schedule import Schedule, predicted_x0
from frugal.training.network import load_prior

STEPS = 6


@pytest.fixture(scope="module")
def pipe():
    return small_pipe(64)


@pytest.fixture(scope="module")
def measurement():
    x0 = images.shipped("faces", limit=2)
    return operators.make("sr4", tuple(x0.shape[1:])).measure(x0, 0.01, torch.Generator().manual_seed(0))


def seeded(count=None, seed=7):
    if count is None:
        return torch.Generator().manual_seed(seed)
    return [torch.Generator().manual_seed(seed + b) for b in range(count)]


@pytest.mark.parametrize("switch, method", [(0, "dps"), (STEPS, "dmps")])
def test_the_ends_of_the_switch_are_the_pure_methods_bit_for_bit(pipe, measurement, switch, method):
    m = measurement
    hybrid = pipe(m, "hybrid", num_inference_steps=STEPS, switch=switch, generator=seeded())
    pure = pipe(m, method, num_inference_steps=STEPS, generator=seeded())
    assert torch.equal(hybrid.images, pure.images)
    assert hybrid.switch == pure.switch and hybrid.backprops == pure.backprops


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_comes_out_the_same_alone_and_in_a_batch_of_8(pipe, method):
    x0 = images.shipped("faces", limit=8)
    A = operators.make("sr4", tuple(x0.shape[1:]))
    m = A.measure(x0, 0.01, generator=seeded(8, seed=50))
    # zeta as tuned for 100 steps; scaled up to 6 steps it would blow rounding up to any size
    batch = pipe(m, method, STEPS, zeta=12.0, generator=seeded(8)).images
    alone = pipe(m[5:6], method, STEPS, zeta=12.0, generator=seeded(8)[5:6]).images
    # A difference of two guesses is divided by its length, and so is their rounding.
    assert (batch[5:6] - alone).abs().max() < (1e-3 if METHODS[method].numbers else 1e-4)


def test_collapse_switches_picture_by_picture_as_each_would_alone(measurement):
    """By the prior that ships, whose guesses come to rest."""
    pipe, m = RestorationPipeline.from_pretrained(), measurement
    pipe.set_progress_bar_config(disable=True)
    # zeta as tuned for 100 steps; scaled up to 20 steps it would blow rounding up
    asked = {"num_inference_steps": 20, "switch": "collapse", "zeta": 6.0}
    both = pipe(m, "hybrid", generator=seeded(2), **asked)
    alone = [pipe(m[b : b + 1], "hybrid", generator=seeded(2)[b : b + 1], **asked) for b in range(2)]
    assert both.switch == alone[0].switch + alone[1].switch
    assert (both.images - torch.cat([a.images for a in alone])).abs().max() < 1e-3
    assert both.backprops == [20 - k for k in both.switch]


class Oracle(torch.nn.Module):
    """Knows x_0 and answers in any prediction type."""

    def __init__(self, x0, scheduler):
        super().__init__()
        self.x0, self.scheduler = x0, scheduler

    def forward(self, sample, timestep):
        a = self.scheduler.alphas_cumprod[timestep].double()
        eps = (sample - a**0.5 * self.x0) / (1 - a) ** 0.5
        answers = {
            "epsilon": eps,
            "sample": self.x0 + 0 * sample,
            "v_prediction": a**0.5 * eps - (1 - a) ** 0.5 * self.x0,
        }
        return UNet2DOutput(sample=answers[self.scheduler.config.prediction_type].to(sample.dtype))


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("method", METHODS)
def test_prediction_types(prediction_type, method):
    x0 = images.shipped("faces", limit=1)
    scheduler = DDPMScheduler(prediction_type=prediction_type)
    oracle = RestorationPipeline(Oracle(x0, scheduler), scheduler)
    oracle.set_progress_bar_config(disable=True)
    A = operators.make("sr4", tuple(x0.shape[1:]))
    restored = oracle(A.measure(x0, 0.0), method, 100, generator=seeded()).images
    assert metrics.psnr(restored, x0).item() > 35


@pytest.mark.parametrize("kernel", [operators.patterns.gaussian_kernel, operators.patterns.motion_kernel])
@pytest.mark.parametrize(
    "method", [m for m in METHODS if m != "mpgd"]
)  # its steps have a length of their own
def test_without_noise_rounding_is_not_taken_for_a_measurement(kernel, method):
    """A blur lets some waves through by less than rounding; to divide by that made pictures of 5 dB, or none.

    With numbers of 32 bits the picture is as good as with those of 64, or is good.
    """
    x0, scheduler = images.shipped("faces", 16, 1), DDPMScheduler()
    A = operators.make("deblur", tuple(x0.shape[1:]), kernel=kernel((3, 64, 64)))
    own = two_functions.operator(A.A, A.A_adjoint, A.image_shape, A.measurement_shape)

    def quality(x0, A, sigma):
        oracle = RestorationPipeline(Oracle(x0, scheduler), scheduler)
        oracle.set_progress_bar_config(disable=True)
        restored = oracle(A.measure(x0, sigma, seeded()), method, 12, zeta=0.1, generator=seeded()).images
        return metrics.psnr(restored, x0).item()

    for sigma in (0.0, 1e-9):
        least = min(quality(x0.double(), A, sigma), 32) - 1
        for kind in [A, own] if method in WITHOUT_SVD else [A]:
            assert quality(x0, kind, sigma) > least


def test_a_restoration_that_is_not_finite_is_refused(pipe, measurement):
    with pytest.raises(Refusal, match="^restoration: ends in numbers that are not finite"):
        pipe(measurement, "dps", 2, zeta=1e38, generator=seeded())


def test_how_far_the_size_of_a_batch_is_seen():
    """By the prior that ships: one pass rounds otherwise by 1e-6; DPS enlarges it, by up to 0.05 dB."""
    pipe, x0 = RestorationPipeline.from_pretrained(), images.shipped("faces", limit=2)
    pipe.set_progress_bar_config(disable=True)
    x, schedule = torch.randn(x0.shape, generator=seeded()), pipe.schedule("dps", 10)
    with torch.no_grad():
        guess = pipe.denoiser(schedule)
        assert (guess(x, 5)[1:2] - guess(x[1:2], 5)).abs().max() < 1e-5
    m = operators.make("sr4", tuple(x0.shape[1:])).measure(x0, 0.01, generator=seeded(2, seed=50))
    together = pipe(m, "dps", 5, generator=seeded(2)).images
    alone = torch.cat([pipe(m[i : i + 1], "dps", 5, generator=seeded(2)[i : i + 1]).images for i in range(2)])
    assert (metrics.psnr(together, x0) - metrics.psnr(alone, x0)).abs().max() < 0.1


def test_predicted_x0_inverts_the_forward_process():
    x0, eps, a = torch.rand(1, 3, 4, 4), torch.randn(1, 3, 4, 4), 0.3
    x_k = a**0.5 * x0 + (1 - a) ** 0.5 * eps
    for kind, output in (
        ("epsilon", eps),
        ("sample", x0),
        ("v_prediction", a**0.5 * eps - (1 - a) ** 0.5 * x0),
    ):
        assert (predicted_x0(output, x_k, a, kind) - x0).abs().max() < 1e-5
    with pytest.raises(ValueError, match="^prediction_type: "):
        predicted_x0(x0, x_k, a, "flow")


def test_schedule_matches_diffusers_at_full_length():
    """At t = T, the reverse step's mean and variance are DDPMScheduler's own."""
    scheduler = DDPMScheduler(clip_sample=False)
    schedule = Schedule.from_scheduler(scheduler, 1000)
    x_k, eps = torch.randn(2, 1, 3, 8, 8, generator=seeded()).double()
    for k in (1, 2, 500, 1000):
        x0_hat = predicted_x0(eps, x_k, schedule.alpha_bar[k], "epsilon")
        ours = schedule.ancestral(k, x_k, x0_hat, torch.zeros_like(x_k))
        scheduler.set_timesteps(1000)
        scheduler.alphas_cumprod, scheduler.betas = (
            scheduler.alphas_cumprod.double(),
            scheduler.betas.double(),
        )
        variance = scheduler._get_variance(k - 1) if k > 1 else torch.zeros(())
        theirs = scheduler.step(eps, k - 1, x_k, generator=seeded()).prev_sample
        noise = torch.randn(x_k.shape, generator=seeded(), dtype=x_k.dtype)
        assert (theirs - ours - variance**0.5 * noise).abs().max() < 1e-4


def test_respacing_keeps_both_ends_and_ends_clean():
    schedule = Schedule.from_scheduler(DDPMScheduler(), 7)
    assert schedule.timestep[1] == 0 and schedule.timestep[-1] == 999 and schedule.alpha_bar[0] == 1
    assert all(a > b for a, b in zip(schedule.alpha_bar, schedule.alpha_bar[1:]))
    assert Schedule.from_scheduler(DDPMScheduler(), 1).timestep == (None, 999)


def test_callback_sees_every_step_and_can_replace_the_picture(pipe, measurement):
    m = measurement
    seen = []

    def blank_at_the_end(pipe, i, timestep, state):
        seen.append((i, timestep))
        return {"latents": torch.zeros_like(state["latents"])} if i == STEPS - 1 else None

    out = pipe(m, "hybrid", STEPS, generator=seeded(), callback_on_step_end=blank_at_the_end)
    assert [i for i, _ in seen] == list(range(STEPS)) and seen[0][1] == 999 and seen[-1][1] == 0
    assert out.images.abs().max() == 0


def tiny_prior(folder, size=16):
    """A random network as diffusers saves it."""
    DDPMPipeline(small_pipe(size).unet, DDPMScheduler()).save_pretrained(folder)
    return folder


def test_a_folder_saved_by_diffusers_loads(tmp_path):
    pipe = RestorationPipeline.from_pretrained(tiny_prior(tmp_path / "prior"))
    assert pipe.unet.config.sample_size == 16


def test_weights_that_were_loaded_need_no_gradient_until_they_are_trained_on():
    assert not any(p.requires_grad for p in RestorationPipeline.from_pretrained().unet.parameters())
    unet, _ = load_prior("faces64", 64)
    assert all(p.requires_grad and p.is_contiguous() for p in unet.parameters())


def test_a_256_prior_in_the_flat_layout_of_older_hub_repositories_loads_and_runs(tmp_path):
    """google/ddpm-celebahq-256 keeps its configs and weights beside model_index.json."""
    folder = tiny_prior(tmp_path / "prior", size=256)
    for sub in ("unet", "scheduler"):
        for file in (folder / sub).iterdir():
            shutil.move(file, folder / file.name)
        (folder / sub).rmdir()
    pipe = RestorationPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    A = operators.make("sr16", (3, 256, 256))
    assert pipe(Measurement(torch.zeros(1, 3, 16, 16), A, 0.01), num_inference_steps=2).images.shape == (
        1,
        3,
        256,
        256,
    )


def test_weights_cut_short_are_one_sentence(tmp_path):
    folder = tiny_prior(tmp_path / "prior")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="^prior: .* holds no complete UNet2DModel"):
        RestorationPipeline.from_pretrained(folder)


def test_pickled_weights_are_refused(tmp_path):
    folder = tiny_prior(tmp_path / "prior")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ValueError, match="^prior: "):
        RestorationPipeline.from_pretrained(folder)


def test_a_prior_that_the_hub_does_not_give_is_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Refusal, match="^prior: nobody/nothing-here is not in the local"):
        RestorationPipeline.from_pretrained("nobody/nothing-here")


def test_the_digest_follows_the_weights(pipe):
    before = pipe.digest()
    parameter = next(pipe.unet.parameters())
    with torch.no_grad():
        parameter += 1
        changed = pipe.digest()
        parameter -= 1
    assert changed != before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_measurement_in_another_precision_is_computed_in_the_networks(pipe, measurement, dtype):
    m = Measurement(measurement.y.to(dtype), measurement.A, 0.01)
    assert pipe(m, "dmps", STEPS, generator=seeded()).images.dtype == torch.float32
