"""The poster's collapse heuristic: curves written by hand."""

import torch

from frugal import collapse


def test_k_from_a_stored_curve():
    curve = torch.tensor([[5.0, 30, 5], [25, 5, 5], [10, 5, 5], [30, 40, 5]])  # t = 5, guesses at k = 5..1
    assert collapse.switch_from_curve(curve).tolist() == [2, 3, 0]
    assert collapse.settled_from_curve(curve).tolist() == [0, 0, 0]
    assert collapse.settled_from_curve(torch.tensor([[25.0], [5], [20], [30]])).tolist() == [1]


def guesses_of_five_steps():
    """Guesses at k = 5, ..., 1 of three pictures, and by how many dB consecutive ones agree."""
    agreement = torch.tensor([[5.0, 30, 5], [25, 5, 5], [10, 5, 5], [30, 40, 5]])
    moves = 2 * 10 ** (-agreement / 20)  # the peak is 2
    values = torch.cat([torch.zeros(1, 3), moves.cumsum(0)])
    return values[..., None, None, None].expand(-1, -1, 3, 4, 4), agreement


def test_the_curve_is_the_psnr_of_consecutive_guesses():
    guesses, agreement = guesses_of_five_steps()
    assert torch.allclose(collapse.consecutive_psnr(list(guesses)), agreement, atol=1e-4)
