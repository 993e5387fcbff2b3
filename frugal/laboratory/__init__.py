"""Priors whose denoiser and posterior are known exactly, to judge the samplers by."""

from .distances import denoising_errors, energy_distance, sliced_wasserstein
from .low_rank import LowRankMixture
from .mixtures import GaussianMixture, exact_score
from .problem import ExactDenoiser, Problem
from .sweep import Sweep

__all__ = [
    "ExactDenoiser",
    "GaussianMixture",
    "LowRankMixture",
    "Problem",
    "Sweep",
    "denoising_errors",
    "energy_distance",
    "exact_score",
    "sliced_wasserstein",
]
