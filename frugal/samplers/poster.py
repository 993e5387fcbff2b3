"""The poster's samplers: DPS, DMPS and the hybrid, one function each, and the table of them.

Arguments shared by all samplers, those of ``centred`` and ``rivals`` too:
denoise   (x_k, k) -> x0_hat, the network's guess E[x_0 | x_k]; (B, C, H, W) both
schedule  ``schedule.Schedule`` with t steps
m         ``measurement.Measurement``: y (B, *measurement_shape), A and sigma
noise     () -> standard normal (B, C, H, W); the first draw starts the chain, then one a step
callback  (k, x, x0_hat) -> x, called after step k with x = x_{k-1} and the guess made at k

Each returns x_0 (B, C, H, W) and the number of back-propagated network calls of each picture, (B,).
To add one: a function of this kind, and its line in ``methods.METHODS``, which has these and all others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..collapse import Watch
from ..guidance import dmps_score, residual_gradient
from ..measurement import Measurement
from ..schedule import Schedule

Denoise = Callable[[torch.Tensor, int], torch.Tensor]
Noise = Callable[[], torch.Tensor]
Callback = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
Pair = tuple[torch.Tensor, torch.Tensor]
Step = Callable[[int, torch.Tensor, torch.Tensor, Measurement], Pair]


def keep(k: int, x: torch.Tensor, x0_hat: torch.Tensor) -> torch.Tensor:
    """The callback that changes nothing."""
    return x


def dps_step(
    denoise: Denoise,
    schedule: Schedule,
    k: int,
    x_k: torch.Tensor,
    z: torch.Tensor,
    m: Measurement,
    zeta: float | torch.Tensor,
) -> Pair:
    """Eq. 3g (page 03; Algorithm 1 of Chung et al. 2023). Returns (x_{k-1}, x0_hat).

    x_{k-1} = x' - zeta grad ||y - A x0_hat(x_k)||, with x' of Eq. 0b.
    """
    with torch.enable_grad():
        x_k = x_k.detach().requires_grad_()
        x0_hat = denoise(x_k, k)
        gradient, _ = residual_gradient(x_k, x0_hat, m)
    x0_hat = x0_hat.detach()
    x_prime = schedule.ancestral(k, x_k.detach(), x0_hat, z)
    return x_prime - zeta * gradient, x0_hat


@torch.no_grad()
def dmps_step(
    denoise: Denoise,
    schedule: Schedule,
    k: int,
    x_k: torch.Tensor,
    z: torch.Tensor,
    m: Measurement,
    lam: float | torch.Tensor,
) -> Pair:
    """Eq. 4h (page 04; Meng & Kabashima 2022). Returns (x_{k-1}, x0_hat).

    x_{k-1} = x' + lam beta_k / sqrt(alpha_k) times Eq. 6, with x' of Eq. 0b. lam = 1 is Eq. 2 pushed
    through the mean of the reverse step. Where the guess is x_k / sqrt(alpha_bar), the residual shrinks
    for every lam below 2 (page 04); a guess that follows the prior narrows this.
    """
    x0_hat = denoise(x_k, k)
    x_prime = schedule.ancestral(k, x_k, x0_hat, z)
    score = dmps_score(x_k, m, schedule.alpha_bar[k])
    return x_prime + lam * schedule.beta[k] / schedule.alpha[k] ** 0.5 * score, x0_hat


def dps(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    zeta: float,
    callback: Callback = keep,
) -> Pair:
    """Diffusion posterior sampling: Eq. 3g at every step (page 03); t network calls, each back-propagated."""
    x = noise()
    for k in schedule.steps:
        x, x0_hat = dps_step(denoise, schedule, k, x, noise(), m, zeta)
        x = callback(k, x, x0_hat)
    return x, torch.full((len(x),), schedule.t)


def dmps(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    lam: float,
    callback: Callback = keep,
) -> Pair:
    """Diffusion model based posterior sampling: Eq. 4h at every step (page 04); t network calls, forward only."""
    x = noise()
    for k in schedule.steps:
        x, x0_hat = dmps_step(denoise, schedule, k, x, noise(), m, lam)
        x = callback(k, x, x0_hat)
    return x, torch.zeros(len(x), dtype=torch.long)


def hybrid(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    zeta: float,
    lam: float,
    switch: int | str,
    callback: Callback = keep,
) -> Pair:
    """The poster's idea (page 07): DPS, Eq. 3g, while k > switch, then DMPS, Eq. 4h, for ``switch`` steps.

    switch  0 (DPS) to t (DMPS), or "collapse": each picture turns to DMPS as soon as the pSNR
            between its consecutive guesses reaches 20 dB (``collapse.Watch``)
    """
    early = lambda k, x_k, z, m: dps_step(denoise, schedule, k, x_k, z, m, zeta)
    late = lambda k, x_k, z, m: dmps_step(denoise, schedule, k, x_k, z, m, lam)
    return in_two_phases(early, late, schedule, m, noise, switch, callback)


def in_two_phases(
    early: Step,
    late: Step,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    switch: int | str,
    callback: Callback,
) -> Pair:
    """The step ``early``, which back-propagates, while k > switch, then ``late``, picture by picture.

    Both are (k, x_k, z, m) -> (x_{k-1}, x0_hat) for some of the pictures.
    """
    x = noise()
    watch = Watch(len(x), switch)
    for k in schedule.steps:
        x_k, z, those_late = x, noise(), k <= watch.k
        x, x0_hat = torch.empty_like(x), torch.empty_like(x)
        for those, step in ((~those_late, early), (those_late, late)):
            if len(i := those.nonzero()[:, 0].to(x.device)):
                x[i], x0_hat[i] = step(k, x_k[i], z[i], m[i])
        watch.see(k, x0_hat)
        x = callback(k, x, x0_hat)
    return x, schedule.t - watch.k


@dataclass(frozen=True)
class Method:
    """A line of ``METHODS``: the sampler, its name and colour on the pages (Okabe & Ito's palette, which the
    colour-blind can tell apart), the names of the settings that are its own arguments, whether it
    back-propagates through the network, down to its switch where it has one, and the steps that it takes where
    none are asked for."""

    sample: Callable[..., Pair]
    label: str
    colour: str
    parameters: tuple[str, ...]
    gradient: bool
    steps: int = 100

    def backprops(self, steps: int, switch: int | str | None) -> int:
        """How many of its network calls are back-propagated; half of them where "collapse" finds the switch."""
        late = switch if isinstance(switch, int) else steps // 2
        return self.gradient * (steps - late * ("switch" in self.parameters))


METHODS = {
    "dps": Method(dps, "DPS", "#0072B2", ("zeta",), True),
    "dmps": Method(dmps, "DMPS", "#D55E00", ("lam",), False),
    "hybrid": Method(hybrid, "hybrid", "#009E73", ("zeta", "lam", "switch"), True),
}
