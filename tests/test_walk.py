"""A method is a step, one loop walks it, and a handover makes one step of two."""

import ast
from pathlib import Path

import nbformat
import pytest
import torch
from diffusers import DDPMScheduler
from examples import seeded

from frugal import operators
from frugal.measurement import Measurement
from frugal.samplers import METHODS
from frugal.samplers.walk import State, Stepped, at, at_collapse, below, handover, last, walk
from frugal.schedule import Schedule

ROOT = Path(__file__).parent.parent
SHAPE, T = (3, 4, 4), 6
SCHEDULE = Schedule.from_scheduler(DDPMScheduler(), T)
A = operators.make("denoise", SHAPE)
M = Measurement(torch.zeros(3, *SHAPE), A, 0.1)


def stream(seed=0):
    g = seeded(seed)
    return lambda: torch.randn(3, *SHAPE, generator=g)


def named(number, passes=1, draws=1):
    """A step that adds its number, and a share of its noise."""

    def step(k, x_k, noise, m):
        z = sum(noise() for _ in range(draws))
        return Stepped(x_k + number + 0.1 * z, torch.full_like(x_k, number * k), passes)

    return step


def test_a_walk_yields_every_state_from_pure_noise_down():
    states = list(walk(named(1.0, passes=2), SCHEDULE, M, stream()))
    assert [state.k for state in states] == [6, 5, 4, 3, 2, 1]
    assert [state.passes.tolist() for state in states] == [[2 * i] * 3 for i in range(1, 7)]
    noise = stream()
    x = noise()
    for state in states:
        x = x + 1 + 0.1 * noise()
        assert torch.equal(state.x, x) and (state.x0_hat == state.k).all()


def test_a_walk_goes_on_from_where_it_is_told_and_from_what_an_onlooker_puts_there():
    whole = list(walk(named(1.0), SCHEDULE, M, stream()))
    noise = stream()
    [noise() for _ in range(4)]  # the start and the draws of k = 6, 5, 4
    rest = list(walk(named(1.0), SCHEDULE, M, noise, whole[2].x, 3))
    assert [s.k for s in rest] == [3, 2, 1] and torch.equal(rest[-1].x, whole[-1].x)
    for state in walk(lambda k, x, noise, m: Stepped(x, x), SCHEDULE, M, stream()):
        state.x = torch.full_like(state.x, state.k)
    assert (state.x == 1).all()
    with pytest.raises(ValueError, match="^states: "):
        last(walk(named(1.0), SCHEDULE, M, stream(), whole[-1].x, 0))


@pytest.mark.parametrize("switch", [0, 1, 4, T])
def test_a_handover_takes_the_late_step_for_the_last_of_them(switch):
    states = list(walk(handover(named(1.0, 2), named(10.0), at(switch)), SCHEDULE, M, stream()))
    assert [(s.x0_hat / s.k).unique().item() for s in states] == [1.0] * (T - switch) + [10.0] * switch
    assert states[-1].passes.tolist() == [2 * (T - switch) + switch] * 3


def test_each_picture_goes_over_by_itself_once_and_keeps_its_noise():
    """Picture i at k = 5 - i; afterwards the rule is asked no more, and every picture has its own share of the noise."""
    when = lambda k, guesses: torch.arange(3) == 5 - k
    both = list(walk(handover(named(1.0, 2, draws=2), named(10.0), when), SCHEDULE, M, stream()))
    taken = [(s.x0_hat[:, 0, 0, 0] / s.k).tolist() for s in both]
    assert taken == [[1, 1, 1], [10, 1, 1], [10, 10, 1], [10, 10, 10], [10, 10, 10], [10, 10, 10]]
    assert both[-1].passes.tolist() == [7, 8, 9]
    noise = stream()
    x = noise()
    for state in both:
        first = noise()
        late = state.x0_hat[:, :1, :1, :1] == 10 * state.k
        second = noise() if not late.all() else 0
        x = torch.where(late, x + 10 + 0.1 * first, x + 1 + 0.1 * (first + second))
        assert torch.allclose(state.x, x)


def test_a_step_that_is_walked_twice_begins_anew():
    step = handover(named(1.0), named(10.0), lambda k, guesses: len(guesses) == 2)
    once, twice = (last(walk(step, SCHEDULE, M, stream())) for _ in range(2))
    assert torch.equal(once.x, twice.x)
    mixed = METHODS["reddiff"].make(lambda x, k: 0.5 * x, SCHEDULE)
    once, twice = (last(walk(mixed, SCHEDULE, M, stream())) for _ in range(2))
    assert torch.equal(once.x, twice.x)


def test_rules_of_a_handover():
    assert [at(2)(k, []) for k in (3, 2, 1)] == [False, True, True]
    rule = below(SCHEDULE.s[3], SCHEDULE)
    assert [rule(k, []) for k in (4, 3, 2)] == [False, True, True]
    guess = torch.zeros(2, 3, 4, 4)
    near = torch.stack([guess[0] + 0.19, guess[1] + 0.21])  # 20.4 and 19.6 dB
    assert at_collapse()(1, [guess]) is False
    assert at_collapse()(1, [guess, near]).tolist() == [True, False]


def code(path):
    """The Python of a file or a notebook."""
    if path.suffix == ".py":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def loops(path):
    """Where a file goes down the steps of a schedule, but for ``walk``'s own loop."""
    for node in ast.walk(ast.parse(code(path))):
        if isinstance(node, ast.For):
            over = ast.unparse(node.iter)
            steps = "reversed(" in over or over.endswith(", 0, -1)") or ".steps" in over
            body = "".join(map(ast.unparse, node.body))
            if steps and ("ancestral(" in body or "step(" in body or "_step" in body or "ddim(" in body):
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_there_is_one_reverse_loop():
    files = [path for room in ("frugal", "book") for path in (ROOT / room).rglob("*.py")]
    files += (ROOT / "notebooks").glob("*.ipynb")
    assert [loop.split(":")[0] for path in files for loop in loops(path)] == ["frugal/samplers/walk.py"]


def test_state_is_what_the_pipeline_walks():
    assert State.__dataclass_fields__.keys() == {"k", "x", "x0_hat", "passes"}
