"""Measured files belong to the prior, the behaviour and the settings in use, and one command renews each."""

import importlib.util
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
import torch
from examples import small_pipe
from experiments import behaviour, command, engine, samples, search, stamp, tuning
from experiments.engine import Experiment, Run
from experiments.table import EXPERIMENTS, TASKS

import alone
from frugal import RestorationPipeline, images, operators
from frugal.results.statistics import MARGINS
from frugal.runs import chains
from frugal.samplers import BEST, METHODS, Method, poster
from frugal.schedule import Schedule

ROOT = Path(__file__).resolve().parent.parent

PAGES = "\n".join(page.read_text() for page in sorted((ROOT / "book").glob("*.md")))


def content(name):
    """A measured file of the book."""
    return stamp.content(stamp.FOLDER / f"{name}.json")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_measured_file_belongs_to_what_is_in_use(name):
    reasons = stamp.stale(name, EXPERIMENTS[name])
    assert not reasons, "\n".join(reasons)


def test_every_measured_file_has_a_command_and_a_line_on_the_page():
    there = {path.stem for path in stamp.FOLDER.glob("*.json")}
    assert there == set(EXPERIMENTS)
    table = re.findall(r"^\| `(\w+)\.json` \|.*`make measure NAME=(\w+)", PAGES, re.M)
    assert dict(table) == {name: name for name in EXPERIMENTS}


def test_a_record_of_history_says_why_it_is_not_renewed():
    assert [name for name, experiment in EXPERIMENTS.items() if experiment.history] == ["bench", "scale"]
    assert "the machine and the day that its stamp names" in EXPERIMENTS["bench"].history
    assert content("bench")["meta"]["device"] and content("scale")["meta"]["device"]


def test_the_last_station_of_the_training_is_the_prior_that_ships():
    rows, digest = content("samples")["rows"], RestorationPipeline.from_pretrained().digest()
    assert list(rows.items())[-1] == (str(samples.seen_by("faces64")), digest)


def test_step_sizes_in_use_are_those_that_were_tuned():
    tuned = RestorationPipeline.from_pretrained().step_sizes.tuned
    in_use = {task: {str(k): row for k, row in rows.items()} for task, rows in tuned.items()}
    assert in_use == content("tuning")["chosen"]


def test_what_the_prior_leaves_open_is_what_was_measured_on_faces_that_no_table_uses():
    measured = content("spectrum")
    in_use = RestorationPipeline.from_pretrained().step_sizes.spectrum
    assert {float(s2): lines for s2, lines in measured["spectrum"].items()} == in_use
    reported = {row["picture"] for row in content("switches")["rows"]}
    assert len(set(measured["meta"]["pictures"]) - reported) == 50


def test_step_sizes_were_chosen_by_the_rule():
    measured = content("tuning")
    for task, chosen in measured["chosen"].items():
        assert tuning.chosen([row for row in measured["rows"] if row["task"] == task]) == chosen


def test_step_sizes_were_tuned_on_faces_that_no_table_uses():
    tuned_on = set(content("tuning")["meta"]["pictures"])
    used = {images.digest(x) for x in images.shipped("faces")}
    for file in stamp.FOLDER.glob("*.json"):
        used |= {row["picture"] for row in stamp.content(file).get("rows", []) if "picture" in row}
    assert tuned_on and not tuned_on & used


def test_every_method_of_the_frontier_had_the_passes_that_it_was_asked_for():
    rows = content("frontier")["rows"]
    assert {row["method"] for row in rows} <= set(METHODS)
    assert all(abs(row["taken"] - row["passes"]) <= 1 for row in rows)


@pytest.mark.parametrize("setting", search.SETTINGS, ids=[f"{s.method} {s.name}" for s in search.SETTINGS])
def test_a_setting_of_the_search_takes_the_passes_that_it_is_given(pipe, setting):
    x0 = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x, passes = search.restored(pipe, x0, "sr4", setting, 20, 0.01, 0)
    assert x.isfinite().all() and (abs(passes[0] - 20) <= 1 or "collapse" in setting.name)


@pytest.fixture
def pipe(monkeypatch):
    pipe = small_pipe()
    monkeypatch.setattr(RestorationPipeline, "from_pretrained", lambda name="small": pipe)
    return pipe


def then(job):
    return {"count": len(job.content["rows"])}


def runs(job):
    """Every picture of a folder blurred, as one method; how it went is in ``done``."""

    def rows_of(some):
        done.append(list(some))
        if len(done) == stop:
            raise KeyboardInterrupt
        x0 = torch.stack(list(some.values()))
        return engine.rows(some, {"blur": (x0.roll(1, 2), {"place": list(range(len(x0)))})})

    for task in job.args.tasks:
        yield Run({"task": task}, job.pictures(), rows_of)


done, stop = [], 0


@pytest.fixture
def tried(pipe, monkeypatch, tmp_path):
    """An experiment "tried" on two pictures; returns how to measure it, and its file."""
    one = Experiment(
        SimpleNamespace(__doc__="Tried.", __file__=__file__, runs=runs, then=then, SIGMA=0.01, MORE=1),
        "SIGMA",
        (behaviour.schedule, behaviour.step_sizes),
        folders={"images": "pictures"},
        options={"limit": None, "tasks": ["sr4"], "batch": 1, "seed": 1},
    )
    monkeypatch.setitem(EXPERIMENTS, "tried", one)
    for name in ("a", "b", "c"):
        x = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(ord(name))) * 2 - 1
        images.save(x, tmp_path / f"{name}.png")
    out = tmp_path / "out" / "tried.json"
    out.parent.mkdir()
    done.clear()

    def measure(*more):
        given = ["--images", str(tmp_path), "--device", "cpu", "--out", str(out), *more]
        return command.main(["tried", *given])

    return measure, out, one


def test_a_stamp_is_complete_and_says_nothing_of_folders(tried):
    measure, out, one = tried
    assert measure() == 0
    meta = stamp.content(out)["meta"]
    assert set(meta) == {*stamp.STAMP, "sigma"}
    assert meta["arguments"] == {"images": out.parent.parent.name, "limit": None, "tasks": ["sr4"]}
    assert meta["seed"] == 1 and set(meta["behaviour"]) == {"schedule", "step_sizes"}
    assert meta["command"] == "python book/experiments tried --images IMAGES"
    assert stamp.plain([Path("/home/faces.npy"), 2]) == ["faces.npy", 2]
    assert stamp.stale("tried", one, out.parent) == []


def test_a_row_names_its_run_its_picture_and_its_method(tried):
    measure, out, _ = tried
    assert measure("--batch", "2") == 0 and done == [["a.png", "b.png"], ["c.png"]]
    rows = stamp.content(out)["rows"]
    assert [(row["task"], row["image"], row["method"], row["place"]) for row in rows] == [
        ("sr4", "a.png", "blur", 0),
        ("sr4", "b.png", "blur", 1),
        ("sr4", "c.png", "blur", 0),
    ]
    assert stamp.content(out)["count"] == 3 and all(row["psnr"] > 0 for row in rows)


def test_an_interrupted_measurement_goes_on_and_does_what_is_missing(tried, monkeypatch):
    measure, out, _ = tried
    monkeypatch.setattr(sys.modules[__name__], "stop", 2)
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert not out.exists() and len(stamp.content(engine.part(out))["rows"]) == 1
    assert measure() == 0 and done == [["a.png"], ["b.png"], ["b.png"], ["c.png"]]
    assert not engine.parts(out)
    assert measure("--tasks", "sr4", "sr16") == 0 and done[4:] == [["a.png"], ["b.png"], ["c.png"]]
    assert measure() == 0 and len(done) == 7
    assert [row["task"] for row in stamp.content(out)["rows"]] == ["sr4"] * 3 + ["sr16"] * 3
    assert measure("--tasks", "sr8", "sr8") == 0 and len(done) == 10  # the same run again has nothing to do


def test_the_bar_moves_with_every_batch_and_counts_what_a_run_before_has_done(tried, monkeypatch):
    measure, _, _ = tried
    moved = []

    class Bar(engine.tqdm):
        def update(self, n=1):
            moved.append((len(done), n))
            return super().update(n)

    monkeypatch.setattr(engine, "tqdm", Bar)
    assert measure("--batch", "2", "--tasks", "sr4", "sr4") == 0
    assert [(at, n) for at, n in moved if n] == [(1, 2), (2, 1), (2, 3)]


def test_of_two_runs_of_one_experiment_the_second_waits(tried, capsys):
    measure, _, _ = tried
    lock, second = alone.hold(__file__), Thread(target=measure)
    second.start()
    second.join(1)
    assert not done
    os.close(lock)
    second.join()
    assert len(done) == 3 and "Another run measures tried; this one begins when" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed", [{"seed": 2}, {"sigma": 0.02}, {"prior_digest": "0"}, {"behaviour": {"schedule": {}}}]
)
def test_a_measurement_goes_on_only_from_the_same(tried, changed):
    measure, out, _ = tried
    assert measure() == 0
    there = stamp.content(out)
    out.write_text(json.dumps({**there, "meta": there["meta"] | changed}))
    assert measure() == 0 and len(done) == 6


def test_what_processes_have_measured_is_joined():
    ours = {"meta": 1, "rows": [{"a": 1}], "chosen": {"x": {"zeta": 1}}}
    theirs = {"meta": 1, "rows": [{"a": 1}, {"a": 2}], "chosen": {"y": {"zeta": 2}}}
    both = engine.merged(ours, theirs)
    assert both["rows"] == [{"a": 1}, {"a": 2}] and list(both["chosen"]) == ["x", "y"]


@pytest.mark.parametrize(
    "changes, changed, reason",
    [
        ({"prior_digest": "0"}, {}, "another prior"),
        ({"behaviour": {}}, {}, "behaves otherwise (schedule, step_sizes)"),
        ({"sigma": 0.02}, {}, "settings than those in use (sigma)"),
        ({}, {"settings": "SIGMA MORE"}, "(more)"),
        ({}, {"depends": (behaviour.schedule, behaviour.collapses)}, "behaves otherwise (collapses)"),
    ],
)
def test_a_file_of_something_else_is_stale_and_told_how_to_renew(tried, changes, changed, reason):
    measure, out, one = tried
    assert measure() == 0
    there = stamp.content(out)
    out.write_text(json.dumps({**there, "meta": there["meta"] | changes}))
    (sentence,) = stamp.stale("tried", Experiment(**{**vars(one), **changed}), out.parent)
    assert reason in sentence and sentence.endswith("renew it: python book/experiments tried --images IMAGES")
    assert stamp.stale("tried", Experiment(**{**vars(one), **changed, "history": "why"}), out.parent) == []


@pytest.mark.parametrize("text", [None, "{", "[]", '{"rows": []}', '{"meta": []}', '{"meta": {"seed": 1}}'])
def test_a_file_without_a_stamp_is_stale(tried, text):
    _, out, one = tried
    if text is not None:
        out.write_text(text)
    (sentence,) = stamp.stale("tried", one, out.parent)
    assert "stamp" in sentence and "python book/experiments tried" in sentence


def test_what_is_added_leaves_a_file_valid_and_what_changes_or_goes_does_not():
    then, now = {"tried": {"sr4 dps": [0.1, 0.2]}}, {"tried": {"sr4 dps": [0.1, 0.2004], "sr4 ddnm": [0.3]}}
    assert stamp.changes(then, now) == []
    assert stamp.changes(then, {"tried": {"sr4 dps": [0.1, 0.21]}}) == ["sr4 dps"]
    assert stamp.changes(then, {"tried": {"sr4 dps": [0.1, 0.21]}}, ["sr16"]) == []
    assert stamp.changes(then, {"tried": {"sr4 ddnm": [0.3]}}) == ["sr4 dps"]
    assert stamp.changes(then, now | {"more": {}}) == ["more"]
    assert stamp.changes({"tried": {"lpips": [0.1]}}, {"tried": {"lpips": []}}) == []


@pytest.fixture
def one_task(monkeypatch):
    """Behaviour on one task, computed anew."""
    monkeypatch.setattr(behaviour, "TASKS", {"sr4": operators.TASKS["sr4"]})
    behaviour.tried.cache_clear()
    yield
    behaviour.tried.cache_clear()


def changes_of(change):
    """What behaves otherwise after a change."""
    then = behaviour.every_method()
    change()
    behaviour.tried.cache_clear()
    return behaviour.differing(then, behaviour.every_method())


@pytest.mark.parametrize(
    "module, name, wrong",
    [
        (poster, "residual_gradient", lambda real: lambda *a: tuple(-part for part in real(*a))),
        (poster, "dmps_score", lambda real: lambda *a: 1.01 * real(*a)),
        (chains, "generators", lambda real: lambda seed, *a: real(seed + 1, *a)),
    ],
    ids=["sign of DPS", "length of DMPS", "another noise"],
)
def test_a_wrong_formula_behaves_otherwise(one_task, monkeypatch, module, name, wrong):
    assert changes_of(lambda: monkeypatch.setattr(module, name, wrong(getattr(module, name))))


def test_another_operator_behaves_otherwise(one_task, monkeypatch):
    assert changes_of(lambda: monkeypatch.setitem(operators.TASKS, "sr4", operators.TASKS["sr8"]))


@pytest.mark.parametrize("name", METHODS[BEST].numbers)
def test_another_number_of_the_method_on_offer_is_noticed(name, one_task, monkeypatch):
    """So the few steps that are tried do all that the method does."""
    line = METHODS[BEST]
    own = line.numbers[name]
    other = tuple(3 * level for level in own) if isinstance(own, tuple) else 3 * own
    changed = replace(line, numbers={**line.numbers, name: other})
    assert changes_of(lambda: monkeypatch.setitem(METHODS, BEST, changed)) == [f"sr4 {BEST}"]


def test_a_method_added_in_a_new_module_and_then_changed_is_noticed(one_task, monkeypatch, tmp_path):
    file = tmp_path / "added.py"

    def write(weight):
        file.write_text(
            "from frugal.samplers.walk import Stepped\n"
            "def added(denoise, schedule):\n"
            "    def step(k, x_k, noise, m):\n"
            "        guess = denoise(x_k, k)\n"
            f"        return Stepped(schedule.ancestral(k, x_k, guess, {weight} * noise()), guess)\n"
            "    return step\n"
        )
        spec = importlib.util.spec_from_file_location("added", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(METHODS, "added", Method(module.added, "added", "#000000"))

    before = behaviour.every_method()
    assert changes_of(lambda: write(1.0)) == []
    assert behaviour.every_method().keys() - before.keys() == {"sr4 added"}
    assert changes_of(lambda: write(1.1)) == ["sr4 added"]


@pytest.mark.parametrize(
    "trial, owner, name, wrong",
    [
        ("schedule", Schedule, "ancestral", lambda real: lambda *a: 1.01 * real(*a)),
        ("collapses", behaviour.collapse, "settled_from_curve", lambda real: lambda curve: real(curve) + 1),
        ("metrics", behaviour.METRICS["psnr"].__class__, "measure", None),
        ("training", behaviour, "target", lambda real: lambda *a: -real(*a)),
        ("drawing", behaviour, "draw", lambda real: lambda *a, **k: 0.9 * real(*a, **k)),
        ("left_open", behaviour.StepSizes, "left_open_by_wave", lambda real: lambda *a: 1.01 * real(*a)),
    ],
)
def test_what_restorations_do_not_try_is_tried_too(monkeypatch, trial, owner, name, wrong):
    function = getattr(behaviour, trial)
    then = function()
    if wrong is None:
        lower = behaviour.METRICS["psnr"].__class__(lambda x, y: 0 * x[:, 0, 0, 0], "", 1)
        monkeypatch.setitem(behaviour.METRICS, "psnr", lower)
    else:
        monkeypatch.setattr(owner, name, wrong(getattr(owner, name)))
    assert behaviour.differing(then, getattr(function, "__wrapped__", function)())


@pytest.mark.parametrize(
    "given",
    [["nonsense"], [], ["tuning"], ["fidelity", "--faces", "0"], ["tuning", "--images", "nowhere"]]
    + [["rule", "--images", ".", "--tasks", "sr5"], ["rule", "--images", ".", "--batch", "0"]],
)
def test_what_cannot_be_measured_is_one_sentence_and_exit_code_2(given, capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        sys.exit(command.main([*given, *(["--out", str(tmp_path / "out.json")] if len(given) > 1 else [])]))
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1 and not any(tmp_path.iterdir())


def test_the_command_of_a_stamp_is_the_one_that_renews(tmp_path):
    given = ["tuning", "--images", "/home/faces", "--crop", "140", "--tasks", "sr4", "--device", "cpu"]
    args = command.build_parser().parse_args([*given, "--out", str(tmp_path / "out.json")])
    parser = vars(args).pop("parser")
    words = "python book/experiments tuning --images IMAGES --crop 140 --tasks sr4"
    assert command.command(args, parser) == words


def test_the_search_finds_nothing_better_than_the_numbers_in_use():
    """They are what it begins with, eta and the share of full power as derived; no task gains a margin by another."""
    method = METHODS[BEST]
    of_line = {"spacing": method.spacing, "lowest": method.lowest, "undecided": method.numbers["undecided"]}
    of_line |= dict(zip(("least", "most"), method.numbers["asks"])) | {"eta": 1, "power": 1}
    budget = method.passes(RestorationPipeline.from_pretrained().scheduler, method.steps)
    found = content("offered")["chosen"][str(budget)]
    assert found["start"]["numbers"] == of_line
    for task in TASKS:
        for kind in ("all", task):
            gained = found["start"][task]["lpips"][0] - found[kind][task]["lpips"][0]
            assert gained < MARGINS["lpips"]
