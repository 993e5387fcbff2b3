"""The mistakes that ``mutants`` plants: one expression or statement of a module, and what takes its place."""

from typing import NamedTuple


class Mistake(NamedTuple):
    """``old`` is in the syntax tree of frugal/``file`` exactly once; ``new`` is wrong."""

    name: str
    file: str
    old: str
    new: str


MISTAKES = (
    Mistake(
        "network told the step before",
        "schedule.py",
        "(None, *kept.tolist())",
        "(None, *(kept - 1).clamp_min(0).tolist())",
    ),
    Mistake(
        "alpha not recomputed after respacing",
        "schedule.py",
        "alpha_bar[1:] / alpha_bar[:-1]",
        "scheduler.alphas.double().cpu()[kept]",
    ),
    Mistake(
        "s without its square root",
        "schedule.py",
        "((1 - alpha_bar) / alpha_bar).sqrt()",
        "(1 - alpha_bar) / alpha_bar",
    ),
    Mistake(
        "alpha_bar[k] for alpha_bar[k - 1] in the weight of the guess",
        "schedule.py",
        "alpha_bar_prev**0.5 * self.beta[k]",
        "alpha_bar**0.5 * self.beta[k]",
    ),
    Mistake(
        "noise of variance beta, also at the last step",
        "schedule.py",
        "variance = self.beta[k] * (1 - alpha_bar_prev) / (1 - alpha_bar)",
        "variance = self.beta[k]",
    ),
    Mistake(
        "variance for standard deviation", "schedule.py", "mean + variance**0.5 * z", "mean + variance * z"
    ),
    Mistake(
        "sign of the noise in v-prediction",
        "schedule.py",
        "alpha_bar**0.5 * x_k - (1 - alpha_bar) ** 0.5 * output",
        "alpha_bar**0.5 * x_k + (1 - alpha_bar) ** 0.5 * output",
    ),
    Mistake(
        "sign of Eq. 3",
        "guidance.py",
        "-(norm / m.sigma**2).reshape(-1, 1, 1, 1) * gradient",
        "(norm / m.sigma**2).reshape(-1, 1, 1, 1) * gradient",
    ),
    Mistake("sigma not squared in Eq. 3", "guidance.py", "norm / m.sigma**2", "norm / m.sigma"),
    Mistake(
        "Eq. 3 without the residual's length", "guidance.py", "norm / m.sigma**2", "norm**0 / m.sigma**2"
    ),
    Mistake(
        "sigma not squared in Eq. 5",
        "guidance.py",
        "m.sigma**2 * torch.eye(len(M)).to(M)",
        "m.sigma * torch.eye(len(M)).to(M)",
    ),
    Mistake(
        "sigma not squared in Eq. 6",
        "guidance.py",
        "m.sigma**2 + s2 * s_i**2",
        "m.sigma + s2 * s_i**2",
    ),
    Mistake(
        "s_i squared once too often in Eq. 6",
        "guidance.py",
        "s_i / (m.sigma**2 + s2 * s_i**2)",
        "s_i**2 / (m.sigma**2 + s2 * s_i**2)",
    ),
    Mistake(
        "x_k not rescaled in Eq. 6", "guidance.py", "s_i * A.Vt(x_k) / alpha_bar**0.5", "s_i * A.Vt(x_k)"
    ),
    Mistake(
        "1 / sqrt(alpha_bar) left out of Eq. 6",
        "guidance.py",
        "A.V(gain * residual) / alpha_bar**0.5",
        "A.V(gain * residual)",
    ),
    Mistake("sign of the DPS step", "samplers.py", "x_prime - zeta * gradient", "x_prime + zeta * gradient"),
    Mistake(
        "guess and x_k swapped in DPS",
        "samplers.py",
        "schedule.ancestral(k, x_k.detach(), x0_hat, z)",
        "schedule.ancestral(k, x0_hat, x_k.detach(), z)",
    ),
    Mistake(
        "beta / alpha for beta / sqrt(alpha)",
        "samplers.py",
        "schedule.alpha[k] ** 0.5",
        "schedule.alpha[k]",
    ),
    Mistake(
        "alpha_bar[k - 1] for alpha_bar[k] in DMPS",
        "samplers.py",
        "dmps_score(x_k, m, schedule.alpha_bar[k])",
        "dmps_score(x_k, m, schedule.alpha_bar[k - 1])",
    ),
    Mistake(
        "guess for x_k in DMPS",
        "samplers.py",
        "dmps_score(x_k, m, schedule.alpha_bar[k])",
        "dmps_score(x0_hat, m, schedule.alpha_bar[k])",
    ),
    Mistake("switch off by one", "samplers.py", "k <= watch.k", "k < watch.k"),
    Mistake(
        "switch at collapse one step late",
        "collapse.py",
        "torch.where(collapsed & (self.k == 0), k - 1, self.k)",
        "torch.where(collapsed & (self.k == 0), k - 2, self.k)",
    ),
    Mistake(
        "sigma squared in the measurement",
        "measurement.py",
        'y + checks.at_least_zero("sigma", sigma) * n',
        'y + checks.at_least_zero("sigma", sigma) ** 2 * n',
    ),
    Mistake(
        "block sums for block means",
        "operators.py",
        "torch.full((math.prod(small),), 1 / factor, dtype=torch.float64)",
        "torch.full((math.prod(small),), factor, dtype=torch.float64)",
    ),
    Mistake(
        "adjoint without the singular values",
        "measurement.py",
        "self.V(self.s(y) * self.Ut(y))",
        "self.V(self.Ut(y))",
    ),
    Mistake(
        "colorization's singular value",
        "operators.py",
        "torch.full((H * W,), C**-0.5, dtype=torch.float64)",
        "torch.full((H * W,), 1 / C, dtype=torch.float64)",
    ),
    Mistake(
        "blur's singular values in the wrong order",
        "operators.py",
        "modulus.flatten().repeat(C)",
        "modulus.flatten().repeat_interleave(C)",
    ),
    Mistake("blur's shift not undone in U^T", "operators.py", "shift(y, phase.conj())", "shift(y, phase)"),
    Mistake(
        "box and its surroundings swapped",
        "operators.py",
        "lambda image_shape: ~box_mask(image_shape)",
        "lambda image_shape: box_mask(image_shape)",
    ),
    Mistake("collapse read one step early", "collapse.py", "len(curve) - 1 - first", "len(curve) - first"),
    Mistake(
        "guesses two steps apart", "collapse.py", "zip(x0_hats, x0_hats[1:])", "zip(x0_hats, x0_hats[2:])"
    ),
    Mistake("settled k off by one", "collapse.py", "(kept - 1).clamp_min(0)", "kept.clamp_min(0)"),
)
