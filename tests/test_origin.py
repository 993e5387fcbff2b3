"""All that made a restoration is told apart: each input in turn."""

from dataclasses import replace

import pytest
import torch
from examples import small_pipe

from frugal import Settings, operators
from frugal.base import provenance
from frugal.operators import two_functions
from frugal.prior.step_sizes import RINGS, StepSizes
from frugal.runs.origin import digest, made_from, origin
from frugal.samplers import METHODS

SHAPE, FEW = (3, 32, 32), Settings(steps=4)
SIZES = StepSizes(
    {"sr4": {0: {"zeta": 2.0, "lam": 1.0}}},
    {0.1: 0.01, 1.0: 0.1},
    {s2: [[0.1] * RINGS] * 3 for s2 in (0.1, 1.0)},
)


def made(method="hybrid", pipe=None, A=None, sigma=0.01, settings=FEW, task="sr4"):
    if pipe is None:
        pipe = small_pipe()
        pipe.step_sizes = SIZES
    A = operators.make(task, SHAPE) if A is None else A
    return digest(made_from(origin(pipe), A, sigma, method, pipe.complete(settings, method, A.name)))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "spectral"},
        {"sigma": 0.02},
        {"task": "sr8"},
        {"A": operators.make("deblur", SHAPE)},
        *(
            {"settings": Settings(**({"steps": 4} | own))}
            for own in (
                {"steps": 5},
                {"switch": 1},
                {"switch": "collapse"},
                {"zeta": 1.0},
                {"lam": 0.5},
                {"seed": 1},
            )
        ),
    ],
    ids=lambda change: ", ".join(f"{key} {getattr(value, 'name', value)}" for key, value in change.items()),
)
def test_every_argument_counts(change):
    assert made() == made() != made(**change)


def test_a_mask_a_kernel_and_two_functions_count():
    masks = [torch.rand(32, 32, generator=torch.Generator().manual_seed(i)) > 0.5 for i in (0, 1)]
    same_count = masks[0].flatten()[torch.randperm(1024)].reshape(32, 32)
    masked = [made(A=operators.make("inpaint", SHAPE, mask=mask)) for mask in (*masks, same_count)]
    blurs = [made(A=operators.make("deblur", SHAPE, kernel=torch.ones(n, 1))) for n in (2, 3)]
    own = [
        made(A=two_functions.operator(lambda x, a=a: a * x, lambda y, a=a: a * y, SHAPE, SHAPE))
        for a in (1, 2)
    ]
    assert len({*masked, *blurs, *own}) == 7


def planted(pipe, monkeypatch, what):
    if what == "weight":
        next(pipe.unet.parameters()).data.view(-1)[0] += 1e-3
    elif what == "network":
        pipe.unet.register_to_config(norm_eps=1e-3)
    elif what == "scheduler":
        pipe.scheduler.register_to_config(clip_sample=False)
    elif what == "levels":
        pipe.scheduler.alphas_cumprod = pipe.scheduler.alphas_cumprod**1.01
    elif what == "dtype":
        pipe.unet.double()
    elif what == "fast":
        pipe.speed_up()
    elif what == "code":
        monkeypatch.setattr(provenance, "code_digest", lambda: "another")
    else:
        there = provenance.versions() | {what: "another"}
        monkeypatch.setattr(provenance, "versions", lambda: there)


@pytest.mark.parametrize(
    "what",
    ["weight", "network", "scheduler", "levels", "dtype", "fast", "code", "torch", "diffusers", "python"],
)
def test_prior_code_and_versions_count(what, monkeypatch):
    pipe = small_pipe()
    pipe.step_sizes = SIZES
    before = made(pipe=pipe)
    planted(pipe, monkeypatch, what)
    assert made(pipe=pipe) != before


@pytest.mark.parametrize("method", METHODS)
def test_of_step_sizes_and_errors_those_count_that_the_method_uses(method):
    pipe = small_pipe()

    def after(**change):
        pipe.step_sizes = replace(SIZES, **change)
        return made(method, pipe)

    before, uses = after(), METHODS[method].parameters
    tuned = after(tuned={"sr4": {0: {"zeta": 3.0, "lam": 0.1}}})
    assert (tuned != before) == bool({"zeta", "lam"} & {*uses})
    assert (after(errors={0.1: 0.02, 1.0: 0.1}) != before) == bool({"r2", "spectrum"} & {*uses})
    spectrum = {s2: [[0.2] * RINGS] * 3 for s2 in (0.1, 1.0)}
    assert (after(spectrum=spectrum) != before) == ("spectrum" in uses)


def test_another_path_of_the_same_prior_does_not_count():
    pipe = small_pipe()
    before = made(pipe=pipe)
    pipe.unet.register_to_config(_name_or_path="/elsewhere")
    assert made(pipe=pipe) == before
