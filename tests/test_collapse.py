"""The poster's collapse heuristic: curves written by hand, and the rule while a sampler runs."""

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


def test_the_watch_finds_the_k_of_the_stored_curve():
    """Guess by guess, and each k as soon as it can be known: when k steps remain."""
    guesses, _ = guesses_of_five_steps()
    watch, found = collapse.Watch(3, "collapse"), []
    for k, x0_hat in zip((5, 4, 3, 2, 1), guesses):
        watch.see(k, x0_hat)
        found.append(watch.k.tolist())
    assert found == [[0, 0, 0], [0, 3, 0], [2, 3, 0], [2, 3, 0], [2, 3, 0]]
    assert found[-1] == collapse.switch_from_curve(collapse.consecutive_psnr(list(guesses))).tolist()


def test_a_watch_with_a_given_switch_looks_at_no_guess():
    watch = collapse.Watch(2, 7)
    for k in (3, 2):
        watch.see(k, torch.zeros(2, 3, 4, 4))
        assert watch.k.tolist() == [7, 7]
