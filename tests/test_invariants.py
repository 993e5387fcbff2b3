"""What every method keeps, whatever the operator, the prior, the noise, the batch and the switch: drawn at random."""

from dataclasses import replace

import torch
from diffusers import DDPMScheduler
from examples import gaussian, low_rank, seeded, three
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal import operators
from frugal.measurement import LinearOperator, Measurement
from frugal.operators import two_functions
from frugal.samplers import METHODS, WITHOUT_SVD
from frugal.samplers.walk import last, walk
from frugal.schedule import Schedule

SHAPE, N, T, COUNT = (3, 4, 4), 48, 5, 3
SCHEDULE = Schedule.from_scheduler(DDPMScheduler(), T)
PRIORS = {"one": gaussian(N), "three": three(N), "planes": low_rank(N)}
R2 = [0.0, *(s**2 / (1 + s**2) for s in SCHEDULE.s[1:])]
# Their last step solves A x = y where sigma = 0; that of "spectral" by conjugate gradients that end unfinished.
EXACT = ("centred", "relay", "ddrm", "ddnm", "diffpir", "daps", "spectral")
OWN_LENGTH = ("reddiff", "mpgd")  # of their steps, whatever the units of y


def by_svd(M):
    """A dense matrix (m, n) as an operator; singular values at rounding are left out."""
    U, s, Vh = torch.linalg.svd(M, full_matrices=False)
    U, s, Vh = U[:, s > 1e-10], s[s > 1e-10], Vh[s > 1e-10]
    return LinearOperator(
        "dense",
        SHAPE,
        (len(M),),
        s,
        U=lambda c: c @ U.T.to(c),
        Ut=lambda y: y @ U.to(y),
        V=lambda c: (c @ Vh.to(c)).reshape(-1, *SHAPE),
        Vt=lambda x: x.flatten(1) @ Vh.T.to(x),
    )


def by_functions(A):
    return two_functions.operator(A.A, A.A_adjoint, SHAPE, A.measurement_shape)


@st.composite
def linear_operators(draw, exact=False):
    """Masks, blurs, the tasks, and matrices wide, high or of less than full rank; by SVD or by two functions."""
    g = seeded(draw(st.integers(0, 999)))
    kind = draw(st.sampled_from(["mask", "task", "matrix"] if exact else ["mask", "task", "matrix", "blur"]))
    if kind == "mask":
        mask = torch.rand(SHAPE, generator=g) < draw(st.floats(0.1, 0.9))
        mask.view(-1)[0] = True
        A = operators.make("inpaint", SHAPE, mask=mask)
    elif kind == "blur":
        size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        A = operators.make("deblur", SHAPE, kernel=torch.rand(size, generator=g) + 0.01)
    elif kind == "task":
        A = operators.make(draw(st.sampled_from(["denoise", "colorize", "sr4"])), SHAPE)
    else:
        rows = draw(st.integers(1, 60))
        rank = draw(st.integers(1, min(rows, N)))
        left, right = (torch.randn(n, rank, generator=g).double() for n in (rows, N))
        left, right = (torch.linalg.qr(side).Q for side in (left, right))
        s = 1 + torch.rand(rank, generator=g).double()
        A = by_svd(left * s @ right.T)
    return by_functions(A) if draw(st.booleans()) and not exact else A


def larger(A, times):
    if isinstance(A, two_functions.ImplicitOperator):
        more = (lambda x: times * A.A(x), lambda y: times * A.A_adjoint(y))
        return two_functions.operator(*more, SHAPE, A.measurement_shape)
    return replace(A, singular_values=times * A.singular_values)


def restored(method, A, y, sigma, prior, switch, dtype=torch.float64, pictures=range(COUNT), zeta=0.3):
    """The pictures that a method makes of y, each from noise of its own."""
    spectrum = [torch.full(SHAPE, r2, dtype=dtype) for r2 in R2]
    given = {"zeta": zeta, "lam": 1.0, "switch": switch, "r2": R2, "spectrum": spectrum}
    denoise = lambda x, k: prior.denoise(x.flatten(1).double(), SCHEDULE.alpha_bar[k]).reshape(x.shape).to(x)
    step = METHODS[method].step(denoise, SCHEDULE, given)
    generators = [seeded(100 + i) for i in pictures]
    noise = lambda: torch.stack(
        [torch.randn(SHAPE, generator=g, dtype=torch.float64) for g in generators]
    ).to(dtype)
    return last(walk(step, SCHEDULE, Measurement(y.to(dtype), A, sigma), noise)).x


def usable(A):
    return WITHOUT_SVD if isinstance(A, two_functions.ImplicitOperator) else tuple(METHODS)


def close(a, b, tolerance):
    return (a - b).abs().max() <= tolerance * (1 + b.abs().max())


SIGMA = st.sampled_from([0.0, 1e-12, 1e-6, 0.01, 0.3, 2.0])
SWITCH = st.sampled_from([0, 2, T, "collapse"])
DRAWN = {"A": linear_operators(), "prior": st.sampled_from(sorted(PRIORS)), "sigma": SIGMA, "switch": SWITCH}


@given(**DRAWN, seed=st.integers(0, 99))
@settings(max_examples=30)
def test_pictures_of_a_batch_know_nothing_of_each_other(A, prior, sigma, switch, seed):
    """One alone, and all of them in another order, come out as they do together; and all are finite."""
    g, prior = seeded(seed), PRIORS[prior]
    y = A.measure(prior.sample(COUNT, g).reshape(-1, *SHAPE), sigma, g).y
    for method in usable(A):
        together = restored(method, A, y, sigma, prior, switch)
        alone = restored(method, A, y[1:2], sigma, prior, switch, pictures=[1])
        turned = restored(method, A, y[[2, 0, 1]], sigma, prior, switch, pictures=[2, 0, 1])
        assert together.isfinite().all(), method
        # conjugate gradients that nothing steers and that end unfinished enlarge rounding, where sigma is small
        tolerance = 1e-2 if method == "spectral" and not A.one_singular_value else 1e-6
        assert close(alone, together[1:2], tolerance), method
        assert close(turned, together[[2, 0, 1]], tolerance), method


@given(**DRAWN, seed=st.integers(0, 99))
@settings(max_examples=30)
def test_in_single_precision_all_are_finite_and_of_a_size(A, prior, sigma, switch, seed):
    """With numbers of 32 bits, where rounding is largest, nothing is further off than with those of 64 by a tenth."""
    g, prior = seeded(seed), PRIORS[prior]
    y = A.measure(prior.sample(COUNT, g).reshape(-1, *SHAPE), sigma, g).y.float()
    for method in usable(A):
        single = restored(method, A, y, sigma, prior, switch, torch.float32)
        double = restored(method, A, y, sigma, prior, switch)
        assert single.isfinite().all() and single.norm() <= 1.1 * double.norm() + 1, method


@given(
    A=linear_operators(exact=True),
    prior=st.sampled_from(sorted(PRIORS)),
    switch=SWITCH,
    seed=st.integers(0, 99),
)
@settings(max_examples=30)
def test_without_noise_what_A_sees_is_met(A, prior, switch, seed):
    g, prior = seeded(seed), PRIORS[prior]
    y = A(prior.sample(COUNT, g).reshape(-1, *SHAPE))
    for method in EXACT:
        if method == "relay" and switch == 0:
            continue  # it never comes to its late step
        x = restored(method, A, y, 0.0, prior, switch if method != "relay" else 2)
        assert close(A(x), y, 1e-3 if method == "spectral" else 1e-6), method


@given(**DRAWN | {"sigma": st.sampled_from([0.01, 0.3])}, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_the_units_of_y_change_nothing(A, prior, sigma, switch, seed):
    """A, y and sigma four times as large are the same measurement; of DPS zeta is a length over one of y."""
    g, prior = seeded(seed), PRIORS[prior]
    y = A.measure(prior.sample(COUNT, g).reshape(-1, *SHAPE), sigma, g).y
    for method in {*usable(A)} - {*OWN_LENGTH}:
        one = restored(method, A, y, sigma, prior, switch)
        other = restored(method, larger(A, 4), 4 * y, 4 * sigma, prior, switch, zeta=0.3 / 4)
        assert close(one, other, 1e-6), method


@given(A=linear_operators(), seed=st.integers(0, 99))
@settings(max_examples=50)
def test_the_adjoint_is_the_adjoint(A, seed):
    g = seeded(seed)
    x = torch.randn(2, *SHAPE, generator=g, dtype=torch.float64)
    y = torch.randn(2, *A.measurement_shape, generator=g, dtype=torch.float64)
    assert abs((A(x) * y).sum() - (x * A.A_adjoint(y)).sum()) < 1e-9 * x.norm() * y.norm()


@given(A=linear_operators(exact=True), sigma=st.sampled_from([0.0, 0.01, 0.3]), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_by_two_functions_it_is_as_by_svd(A, sigma, seed):
    g, prior = seeded(seed), PRIORS["one"]
    y = A.measure(prior.sample(COUNT, g).reshape(-1, *SHAPE), sigma, g).y
    own = by_functions(A)
    # RED-diff begins with A^+ y, which is cut otherwise; singular values steer the solve of spectral.
    for method in {*WITHOUT_SVD} - {"reddiff", "spectral"}:
        one, other = (restored(method, kind, y, sigma, prior, 2) for kind in (A, own))
        assert close(one, other, 1e-5), method
