"""Steps by a closed form of E[x_0 | x_k, y] that is centred on the guess: DMPS repaired (page 14).

``r2``        r_k^2 > 0 by k, the variance that the guess leaves open (``StepSizes.left_open``); t + 1 numbers
``spectrum``  the same along each wave by k (``StepSizes.left_open_by_wave``); t + 1 tensors (C, H, W)
"""

from collections.abc import Callable, Sequence

import torch

from ..covariance import Answer, Covariance
from ..guidance import asked_guess, at_full_power, centred_mean, spectral_draw, spectral_mean
from ..measurement import Measurement
from ..schedule import ALL_NEW, TURNED, Schedule, ddim, noise_in, width
from .others import pigdm
from .poster import when
from .walk import Denoise, Noise, Step, Stepped, below, handover

NEVER = 0.0, 0.0  # between these levels of noise no step lies
KEPT = 3  # answers; older ones are about a picture that was still another
SETTLED = 8  # conjugate gradients where the noise is low: more change nothing that can be seen
Made = tuple[torch.Tensor, torch.Tensor, int]  # the guess x0_hat, x_0 given y, and the passes that they took
Picture = Callable[[int, torch.Tensor, Measurement, Noise], Made]  # from k, x_k, m, noise


def by_picture(picture: Picture, schedule: Schedule, eta: float) -> Step:
    """Eq. 14d (page 14): a picture x_0 given y, with the noise of x_k given the *guess*."""

    @torch.no_grad()
    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat, x_0, passes = picture(k, x_k, m, noise)
        eps = noise_in(schedule, k, x_k, x0_hat)
        return Stepped(ddim(schedule, k, x_0, eps, noise(), eta), x0_hat, passes)

    return step


def centred(denoise: Denoise, schedule: Schedule, r2: Sequence[float], eta: float = 1.0) -> Step:
    """Eq. 14d with ``guidance.centred_mean``; one pass a step."""

    def mean(k: int, x_k: torch.Tensor, m: Measurement, noise: Noise) -> Made:
        x0_hat = denoise(x_k, k)
        return x0_hat, centred_mean(x0_hat, m, r2[k]), 1

    return by_picture(mean, schedule, eta)


def spectral(
    denoise: Denoise,
    schedule: Schedule,
    spectrum: Sequence[torch.Tensor],
    turned: float,
    undecided: float,
    asks: tuple[float, float],
    wider: float = 0.0,
    eta: float = 1.0,
    power: float = 1.0,
) -> Step:
    """Turn, explore, ask, settle (page 14): Eq. 14d, and nothing is back-propagated.

    While the noise s_k is above ``turned``, its sign is turned at every step (Eq. 14m), and while it is above
    ``undecided``, all noise is new; both around ``guidance.spectral_mean``. Below, x_0 is drawn
    (``guidance.spectral_draw``) with the width that is right for a Gaussian prior (Eq. 14h), which is
    1 - (s_{k-1} / s_k)^2 where eta = 1, and ``wider`` along waves of which more is open (Eq. 14n); the last step takes
    the mean, of a guess ``guidance.at_full_power``. Between the levels ``asks`` the guess is first moved as the network
    itself says (``guidance.asked_guess``), which costs a second pass; later steps know the last ``KEPT`` answers
    (``covariance.Covariance``).
    """
    pictures = spectrum[schedule.t]  # nothing is known of pure noise
    answers: dict[int, Answer] = {}  # by the k at which they were given; another walk gives them anew

    def guess(k: int, x_k: torch.Tensor, m: Measurement) -> tuple[torch.Tensor, Covariance, int]:
        before = [answer for at, answer in answers.items() if at > k]
        C = Covariance(x_k, spectrum[k], schedule.s[k] ** 2, before[-KEPT:])
        x0_hat = denoise(x_k, k)
        if not asked(schedule, k, asks):
            return x0_hat, C, 1
        x0_hat, answers[k] = asked_guess(denoise, k, x_k, x0_hat, m, C, schedule.alpha_bar[k])
        return x0_hat, C, 2

    def mean(k: int, x_k: torch.Tensor, m: Measurement, noise: Noise) -> Made:
        x0_hat, C, passes = guess(k, x_k, m)
        return x0_hat, spectral_mean(x0_hat, m, C), passes

    def draw(k: int, x_k: torch.Tensor, m: Measurement, noise: Noise) -> Made:
        x0_hat, C, passes = guess(k, x_k, m)
        if k > 1:
            tau = width(schedule, k, eta)
            wide = (tau**2 + wider * tau * spectrum[k] / pictures).sqrt()  # Eq. 14n
            return x0_hat, spectral_draw(x0_hat, m, C, tau, noise, SETTLED, wide), passes
        strong = at_full_power(x0_hat, spectrum[1], pictures, power)
        return x0_hat, spectral_mean(strong, m, C), passes

    turn, explore = by_picture(mean, schedule, TURNED), by_picture(mean, schedule, ALL_NEW)
    early, settle = handover(turn, explore, below(turned, schedule)), by_picture(draw, schedule, eta)
    return handover(early, settle, below(undecided, schedule))


def asked(schedule: Schedule, k: int, asks: tuple[float, float]) -> bool:
    """Whether step k asks the network twice; the last step does not."""
    least, most = asks
    return k > 1 and least <= schedule.s[k] <= most


def relay(
    denoise: Denoise, schedule: Schedule, r2: Sequence[float], switch: int | str, eta: float = 1.0
) -> Step:
    """The hybrid repaired: PiGDM, which has the gradient, while k > switch, then ``centred``."""
    return handover(pigdm(denoise, schedule, eta), centred(denoise, schedule, r2, eta), when(switch))
