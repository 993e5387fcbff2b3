"""All that makes a restoration what it is: rows of ``evaluate``, restored photos and kept chains are told apart by it.

One thing is left out: how many pictures are restored together. A network rounds otherwise for another batch
(libraries choose another way to convolve, and divide the work otherwise among threads), and DPS, whose gradient
has a length of its own however small the residual, enlarges this: its pSNR differs by up to 0.05 dB.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import torch

from ..base import provenance
from ..measurement import LinearOperator
from ..pipeline import RestorationPipeline
from ..samplers import METHODS
from ..settings import Complete

GRID = 2**16  # steps in 1: what is finer may be the rounding of another number of threads


def origin(pipe: RestorationPipeline) -> dict[str, object]:
    """What made all restorations of a pipeline: prior, precision, code, versions; JSON's own kinds of values.

    A network's ``digest`` takes a second for a large one, so that who asks for many restorations asks once.
    """
    sizes, schedule = pipe.step_sizes, public(pipe.scheduler.config)
    errors, spectrum = (sorted(measured.items()) for measured in (sizes.errors, sizes.spectrum))
    versions = provenance.versions()
    return {
        "prior_digest": pipe.digest(),
        "network": digest([type(pipe.unet).__name__, public(getattr(pipe.unet, "config", {}))]),
        "scheduler": digest([schedule, pipe.scheduler.alphas_cumprod.tolist()]),
        "left_open": {"r2": digest(errors), "spectrum": digest([errors, spectrum])},
        "dtype": str(getattr(pipe.unet, "dtype", None)),
        "fast": pipe.fast,
        "device_kind": pipe.device.type,
        "code": provenance.code_digest(),
        **{name: versions[name] for name in ("python", "torch", "diffusers")},
    }


def made_from(
    common: Mapping[str, object], A: LinearOperator, sigma: float, method: str, done: Complete
) -> dict[str, object]:
    """All that made the restorations from measurements by A, but for y and the noise that is drawn.

    ``common`` is of ``origin``, ``done`` are completed settings: the step sizes that the prior brought are among
    them. Of what the prior leaves open only what the method uses counts.
    """
    left_open: Mapping[str, str] = common["left_open"]  # pyright: ignore
    return {
        **common,
        "left_open": [left_open[name] for name in METHODS[method].parameters if name in left_open],
        "operator": [A.name, A.image_shape, A.measurement_shape, fingerprint(A)],
        "sigma": float(sigma),
        "method": method,
        **asdict(done),
    }


def digest(content: object, digits: int = 16) -> str:
    """SHA-256 of something that JSON can write, as so many hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def public(config: Mapping[str, object]) -> dict[str, object]:
    """A diffusers config without where it was loaded from, and by which version."""
    return {name: value for name, value in config.items() if not name.startswith("_")}


def fingerprint(A: LinearOperator) -> str:
    """A digest of what A measures of a random picture: it tells a mask or a kernel of one's own from another."""
    x = torch.randn(1, *A.image_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return hashlib.sha256((A(x) * GRID).round().long().numpy().tobytes()).hexdigest()[:16]
