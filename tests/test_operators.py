"""Every operator against a dense matrix that is written down independently, at 16 x 16 in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal import operators

SHAPE = (3, 16, 16)
N = 3 * 16 * 16
OWN_MASK = torch.rand(SHAPE, generator=torch.Generator().manual_seed(5)) > 0.5
OWN_KERNEL = torch.rand(4, 5, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
CASES = [(task, {}) for task in operators.TASKS if task != "inpaint"] + [
    ("inpaint", {"mask": OWN_MASK}),
    ("inpaint-box", {"mask": OWN_MASK[0]}),
    ("deblur", {"kernel": OWN_KERNEL}),
    ("deblur-motion", {"kernel": torch.ones(1, 2)}),  # a kernel with zeros in its spectrum
]
IDS = [task + "".join(f" own {name}" for name in own) for task, own in CASES]


@pytest.fixture(params=CASES, ids=IDS)
def case(request):
    task, own = request.param
    return task, own, operators.make(task, SHAPE, **own)


def block_mean(f):
    """SR: rows of 1 / f^2 over each block, from index arithmetic."""
    c, i, j = np.meshgrid(range(3), range(16), range(16), indexing="ij")
    block = (c * (16 // f) + i // f) * (16 // f) + j // f
    M = np.zeros((3 * (16 // f) ** 2, N))
    M[block.ravel(), np.arange(N)] = 1 / f**2
    return M


def circular_blur(kernel):
    """Deblurring: y[c, i, j] = sum_ab kernel[a, b] x[c, i - (a - h//2), j - (b - w//2)], channel by channel."""
    kernel = np.asarray(kernel, dtype=float)
    one = np.zeros((256, 256))
    for i in range(16):
        for j in range(16):
            for (a, b), weight in np.ndenumerate(kernel):
                source = (i - a + kernel.shape[0] // 2) % 16 * 16 + (j - b + kernel.shape[1] // 2) % 16
                one[i * 16 + j, source] += weight
    return np.kron(np.eye(3), one)


def picked(mask):
    """Inpainting: the rows of the identity that the mask shows."""
    return np.eye(N)[np.broadcast_to(np.asarray(mask) != 0, SHAPE).ravel()]


def dense(task, own):
    """The matrix of a task by its definition, not through the library."""
    if task == "denoise":
        return np.eye(N)
    if task == "colorize":
        return np.kron(np.ones((1, 3)) / 3, np.eye(256))
    if task.startswith("sr"):
        return block_mean(int(task[2:]))
    if task.startswith("deblur"):
        shipped = {
            "deblur": operators.patterns.gaussian_kernel,
            "deblur-motion": operators.patterns.motion_kernel,
        }[task]
        return circular_blur(own.get("kernel", shipped(SHAPE)))
    box, middle, window, half = np.zeros((4, 16, 16), dtype=bool)
    box[4:12, 4:12] = middle[5:11, 5:11] = window[5:10, 5:10] = half[:, :8] = True
    masks = {
        "inpaint-box": ~box,
        "inpaint-middle": ~middle,
        "inpaint-random": operators.patterns.random_mask(SHAPE),
        "outpaint": box,
        "outpaint-window": window,
        "outpaint-half": half,
    }
    return picked(own["mask"] if "mask" in own else masks[task])


def test_the_starter_kits_masks_at_its_size():
    """Page 13: it hides rows and columns 76 to 179, or shows 89 to 166 only, of 256."""
    for task, first, last in (("inpaint-middle", 76, 179), ("outpaint-window", 89, 166)):
        seen = operators.make(task, (1, 256, 256)).A_adjoint
        mask = seen(torch.ones(1, operators.make(task, (1, 256, 256)).measurement_shape[0]))[0, 0] != 0
        inside = ~mask if task == "inpaint-middle" else mask
        where = inside.nonzero()
        assert where.min() == first and where.max() == last and len(where) == (last - first + 1) ** 2


def test_matches_dense_matrix(case):
    task, own, A = case
    M = torch.from_numpy(dense(task, own))
    assert (A.matrix() - M).abs().max() < 1e-10
    y = torch.eye(len(M), dtype=torch.float64).reshape(-1, *A.measurement_shape)
    assert (A.A_adjoint(y).flatten(1) - M).abs().max() < 1e-10
    found = torch.linalg.svdvals(M)
    expected = A.singular_values.sort(descending=True).values
    assert (found[: len(expected)] - expected[: len(found)]).abs().max() < 1e-10
    assert found[len(expected) :].abs().sum() < 1e-10  # none was left out


def test_factors_are_orthonormal(case):
    _, _, A = case
    identity = torch.eye(len(A.singular_values), dtype=torch.float64)
    for factor, transpose in ((A.U, A.Ut), (A.V, A.Vt)):
        columns = factor(identity).flatten(1)
        assert (columns @ columns.T - identity).abs().max() < 1e-10
        assert (transpose(factor(identity)) - identity).abs().max() < 1e-10


def test_adjoint_identity(case):
    _, _, A = case
    g = torch.Generator().manual_seed(1)
    x = torch.randn(2, *SHAPE, generator=g, dtype=torch.float64)
    y = torch.randn(2, *A.measurement_shape, generator=g, dtype=torch.float64)
    assert abs((A(x) * y).sum() - (x * A.A_adjoint(y)).sum()) < 1e-10


def test_pseudo_inverse_explains_the_measurement(case):
    task, own, A = case
    if "kernel" in own:
        pytest.skip("an own kernel may have singular values at rounding level, where A^+ has no meaning")
    y = A(torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    assert (A(A.A_pinv(y)) - y).abs().max() < 1e-9
    assert A.preview(y).shape[-2:] == SHAPE[1:]


@given(H=st.integers(1, 4), W=st.integers(1, 4), C=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_adjoint_identity_for_any_shape(H, W, C, seed):
    g = torch.Generator().manual_seed(seed)
    shape = (C, 4 * H, 4 * W)
    for task in ("denoise", "colorize", "sr4", "deblur-motion", "inpaint-random"):
        A = (
            operators.make(task, shape)
            if task != "deblur-motion"
            else operators.make(task, shape, kernel=torch.eye(3))
        )
        x = torch.randn(1, *shape, generator=g, dtype=torch.float64)
        y = torch.randn(1, *A.measurement_shape, generator=g, dtype=torch.float64)
        assert abs((A(x) * y).sum() - (x * A.A_adjoint(y)).sum()) < 1e-9


def test_measurement_noise_has_the_stated_size_and_falls_on_measured_pixels_only():
    A = operators.make("inpaint-box", (3, 64, 64))
    x0 = torch.zeros(8, 3, 64, 64)
    m = A.measure(x0, 0.1, generator=torch.Generator().manual_seed(0))
    assert abs(m.y.std().item() - 0.1) < 1e-3
    assert m.preview()[..., 16:48, 16:48].abs().max() == 0


def test_one_generator_for_each_picture():
    A = operators.make("sr4", SHAPE)
    x0 = torch.zeros(2, *SHAPE)
    seeded = lambda: [torch.Generator().manual_seed(s) for s in (3, 4)]
    both = A.measure(x0, 1.0, generator=seeded())
    assert torch.equal(both[1:].y, A.measure(x0[1:], 1.0, generator=seeded()[1:]).y)
