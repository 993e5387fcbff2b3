"""One set of defaults, completed in one place, and step sizes that belong to a prior."""

import json

import pytest

from frugal import RestorationPipeline, Settings, prior
from frugal.base.checks import Refusal
from frugal.prior import step_sizes
from frugal.prior.step_sizes import StepSizes
from frugal.settings import Complete

SIZES = StepSizes({"sr4": {0: {"zeta": 10.0, "lam": 1.0}, 50: {"zeta": 40.0, "lam": 1.5}}})


def test_half_of_the_steps_whatever_their_number():
    assert [Settings(steps=t).complete("hybrid", "sr4", SIZES).switch for t in (1, 20, 101)] == [0, 10, 50]


def test_each_method_takes_its_own_step_sizes():
    complete = lambda method, **given: Settings(**given).complete(method, "sr4", SIZES)
    assert complete("dps") == Complete(100, zeta=10.0)
    assert complete("dmps") == Complete(100, lam=1.5)
    assert complete("hybrid") == Complete(100, switch=50, zeta=40.0, lam=1.5)
    assert complete("spectral") == Complete(14)
    assert complete("hybrid", switch="collapse").zeta == 40.0
    assert complete("hybrid", zeta=3, lam=0).zeta == 3 and complete("hybrid", zeta=3, lam=0).lam == 0


def test_fewer_steps_are_longer_and_an_unknown_task_has_the_rule():
    assert Settings(steps=20).complete("dps", "sr4", SIZES).zeta == pytest.approx(10 * 5 ** (2 / 3))
    assert Settings(steps=200).complete("dps", "sr4", SIZES).zeta == pytest.approx(5.0)
    assert Settings(steps=10).complete("dmps", "sr4", SIZES).lam == 0.5
    assert Settings().complete("dps", "deblur", SIZES).zeta == step_sizes.RULE["zeta"]
    assert StepSizes().of("sr4", 3, 10) == pytest.approx({"zeta": 6 * 10 ** (2 / 3), "lam": 0.5})


@pytest.mark.parametrize(
    "given, named",
    [
        ({"steps": 0}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"steps": 20.0}, "steps"),
        ({"switch": -1}, "switch"),
        ({"switch": 101}, "switch"),
        ({"switch": "soon"}, "switch"),
        ({"switch": 1.5}, "switch"),
        ({"zeta": -1}, "zeta"),
        ({"lam": float("nan")}, "lam"),
        ({"zeta": "large"}, "zeta"),
    ],
)
@pytest.mark.parametrize("method", ["dps", "hybrid"])
def test_every_setting_is_checked_for_every_method(given, named, method):
    with pytest.raises(Refusal, match=f"^{named}"):
        Settings(**given).complete(method, "sr4", SIZES)


def test_the_shipped_prior_has_step_sizes_of_its_own_weights():
    pipe = RestorationPipeline.from_pretrained()
    file = json.loads((prior.SHIPPED / "faces64" / step_sizes.FILE).read_text())
    assert file["meta"]["prior_digest"] == pipe.digest()
    assert {"sr4", "sr16", "inpaint-box"} <= set(pipe.step_sizes.tuned)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"meta": {"prior_digest": "a"}, "tuned": {"sr4": {"0": {}}}}',
        '{"meta": {"prior_digest": "a"}, "tuned": {"sr4": {"0": {"zeta": NaN, "lam": 1}}}}',
        '{"meta": {"prior_digest": "a"}, "tuned": {}, "errors": {"0": 1, "1": 1}}',
        '{"meta": {"prior_digest": "a"}, "tuned": {}, "errors": {"0.1": 0, "1": 1}}',
        '{"meta": {"prior_digest": "a"}, "tuned": {}, "spectrum": {"0.1": [[1]]}}',
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    (tmp_path / step_sizes.FILE).write_text(content)
    with pytest.raises(Refusal, match="^prior: .* holds no step sizes"):
        step_sizes.read(tmp_path, "a")


def test_step_sizes_of_other_weights_are_refused(tmp_path):
    (tmp_path / step_sizes.FILE).write_text('{"meta": {"prior_digest": "a"}, "tuned": {}}')
    assert step_sizes.read(tmp_path, "a") == StepSizes()
    with pytest.raises(Refusal, match="^prior: .* tuned on other weights"):
        step_sizes.read(tmp_path, "b")
