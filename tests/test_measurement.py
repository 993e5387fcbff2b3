"""A measurement: y, A and sigma that fit together, and what is refused."""

import torch

from frugal import Measurement, operators

SHAPE = (3, 16, 16)
A = operators.make("sr4", SHAPE)
Y = torch.zeros(2, 3, 4, 4)


def test_one_of_ones_own_is_what_measure_returns():
    m = A.measure(torch.zeros(2, *SHAPE), sigma=0.0)
    own = Measurement(Y, A, 0.0)
    assert torch.equal(m.y, own.y) and (m.A, m.sigma) == (own.A, own.sigma) and len(own) == 2


def test_some_of_the_pictures_and_another_precision():
    m = Measurement(torch.arange(2.0).reshape(2, 1, 1, 1).expand_as(Y), A, 0.1)
    assert m[1:].y.eq(1).all() and m[torch.tensor([1, 0, 1])].y[:, 0, 0, 0].tolist() == [1, 0, 1]
    assert m.to(torch.zeros(0, dtype=torch.float64)).y.dtype == torch.float64
