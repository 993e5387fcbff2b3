"""Operators by two functions: the same as by their SVD, and refused where they are none."""

import pytest
import torch
from examples import seeded, small_pipe

from frugal import Measurement, guidance, operators
from frugal.base.checks import Refusal
from frugal.operators import two_functions
from frugal.samplers import METHODS, WITHOUT_SVD

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


def only(function, *dtypes):
    """A function that takes numbers of these precisions and no other, as a filter held in one of them does."""

    def strict(x):
        if x.dtype not in dtypes:
            raise RuntimeError(f"expected another scalar type than {x.dtype}")
        return function(x)

    return strict


def operator_of(kind):
    """A blur by its SVD, by two functions of one precision or of both, or of random rows of less than full rank."""
    A = operators.make("deblur", SHAPE)
    if kind == "svd":
        return A
    if kind == "rows":
        left, right = (torch.randn(n, 5, generator=seeded(n)).double() for n in (9, 768))
        M = left @ right.T / 768**0.5
        A_of, adjoint = lambda x: x.flatten(1) @ M.T, lambda y: (y @ M).reshape(-1, *SHAPE)
        return two_functions.operator(A_of, adjoint, SHAPE, (9,))
    dtypes = {"float32": [torch.float32], "float64": [torch.float64], "both": [torch.float32, torch.float64]}[
        kind
    ]
    return two_functions.operator(only(A.A, *dtypes), only(A.A_adjoint, *dtypes), SHAPE, A.measurement_shape)


KINDS = ("svd", "both", "float32", "float64", "rows")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sigma", [0.0, 1e-12, 1e-5, 0.05])
def test_every_method_with_every_kind_of_operator(method, kind, sigma):
    """A picture comes out, or one sentence says which methods can; never what is no number."""
    A, pipe = operator_of(kind), small_pipe(size=16)
    m = A.measure(torch.rand(2, *SHAPE, generator=seeded(1)) * 2 - 1, sigma, seeded(3))
    call = lambda A: (
        pipe(Measurement(m.y, A, sigma), method, 4, zeta=1.0, lam=1.0, generator=seeded(2)).images
    )
    if kind != "svd" and method not in WITHOUT_SVD:
        with pytest.raises(
            Refusal, match=f"^method: {method} needs the singular vectors .* {WITHOUT_SVD[-1]}$"
        ):
            call(A)
        return
    x = call(A)
    assert x.isfinite().all() and x.dtype == torch.float32
    if (
        kind != "rows" and sigma > 1e-3 and method != "reddiff"
    ):  # it begins with A^+ y, which is cut otherwise
        near = 1e-2 if method == "spectral" else 1e-3  # nothing steers its solve without singular values
        assert torch.allclose(x, call(operator_of("svd")), atol=near * x.abs().max().item())


def test_the_methods_without_singular_vectors_are_found_by_trying_them():
    assert set(METHODS) - set(WITHOUT_SVD) == {"ddrm", "ddnm", "daps"}
    own = operator_of("both")
    for name, x in (("U", torch.zeros(1, 768)), ("Vt", torch.zeros(1, *SHAPE)), ("s", torch.zeros(1))):
        with pytest.raises(Refusal, match="^A: is known by two functions alone"):
            getattr(own, name)(x)


def test_the_pseudo_inverse_explains_what_was_measured():
    A, own = pair("deblur")
    y = A(torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(2)).double())
    assert own.largest == pytest.approx(1, abs=0.02)
    assert (own(own.A_pinv(y)) - y).norm() < 0.02 * y.norm()
