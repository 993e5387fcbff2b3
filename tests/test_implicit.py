"""Operators by two functions: the same as by their SVD, and refused where they are none."""

import math

import pytest
import torch
from examples import seeded, small_pipe

from frugal import Measurement, guidance, operators
from frugal.base.checks import Refusal
from frugal.operators import two_functions

SHAPE = (3, 16, 16)
TASKS = ("denoise", "colorize", "sr4", "deblur", "deblur-motion", "inpaint-box", "inpaint-random")


def pair(task):
    """An operator of the book, and the same by its two functions alone."""
    A = operators.make(task, SHAPE)
    return A, two_functions.operator(A.A, A.A_adjoint, SHAPE, A.measurement_shape)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sigma", [0.01, 0.5])
def test_the_closed_forms_are_those_of_the_svd(task, sigma):
    A, own = pair(task)
    x, y = torch.randn(2, 2, *SHAPE, generator=torch.Generator().manual_seed(0)).double()
    y = A(y)
    for score in (
        lambda m: guidance.dmps_score(x, m, 0.3),
        lambda m: guidance.centred_mean(x, m, 0.04),
    ):
        by_svd, by_pair = score(Measurement(y, A, sigma)), score(Measurement(y, own, sigma))
        assert (by_svd - by_pair).abs().max() < 1e-6 * by_svd.abs().max()


@pytest.mark.parametrize("method", ["dps", "dmps", "hybrid", "centred", "spectral", "relay", "pigdm", "mpgd"])
def test_a_restoration_is_that_of_the_svd(method):
    A, own = pair("sr4")
    pipe = small_pipe(size=16)
    m = A.measure(torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1, 0.05)
    one, other = (
        pipe(Measurement(m.y, kind, 0.05), method, 6, zeta=1.0, lam=1.0, generator=seeded(2)).images
        for kind in (A, own)
    )
    assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("method", ["ddrm", "ddnm", "daps"])
def test_a_method_that_needs_singular_vectors_says_so(method):
    _, own = pair("sr4")
    with pytest.raises(Refusal, match="^method: needs the singular vectors of A"):
        small_pipe(size=16)(Measurement(torch.zeros(1, 3, 4, 4), own, 0.1), method, 2)


def test_the_pseudo_inverse_explains_what_was_measured():
    A, own = pair("deblur")
    y = A(torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(2)).double())
    assert own.largest == pytest.approx(1, abs=0.02)
    assert (own(own.A_pinv(y)) - y).norm() < 0.02 * y.norm()


@pytest.mark.parametrize(
    "A, adjoint, said",
    [
        (lambda x: x.square(), lambda y: y, "A: is not linear"),
        (lambda x: x + 1, lambda y: y, "A: is not linear"),
        (lambda x: 2 * x, lambda y: y, "A_adjoint: is not the adjoint"),
        (lambda x: x - x.mean(0), lambda y: y - y.mean(0), "A: mixes the pictures"),
        (lambda x: x[..., :8], lambda y: y, "A: gives shape"),
        (lambda x: x, lambda y: y[..., :8], "A_adjoint: gives shape"),
        (lambda x: x.reshape(7, -1), lambda y: y, "A: fails on shape"),
        (lambda x: x.numpy(), lambda y: y, "A: gives a ndarray"),
        (torch.zeros(3), lambda y: y, "A: a Tensor is not accepted"),
        (lambda x: x * math.nan, lambda y: y, "A: is not linear"),
    ],
)
def test_what_is_no_operator_is_refused(A, adjoint, said):
    with pytest.raises(Refusal, match=f"^{said}"):
        two_functions.operator(A, adjoint, SHAPE, SHAPE)
