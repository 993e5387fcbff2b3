"""The laboratory of page 12: priors whose denoiser and posterior are known exactly, to judge the samplers by.

``transitions`` is the theory of page 06, for a prior of N points.
"""

from .distances import denoising_errors, energy_distance, sliced_wasserstein
from .draws import draw, left_open
from .low_rank import LowRankMixture
from .mixtures import GaussianMixture, Mixture, exact_score
from .problem import Problem
from .sweep import Sweep, best_of_other_half
