"""Measured files belong to the prior, the code and the settings in use, and one command renews each."""

import argparse
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from frugal import RestorationPipeline, images, operators
from frugal.base import provenance
from frugal.runs import restore
from frugal.samplers import METHODS

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book"))

from measure import behaviour, command, record  # noqa: E402

PAGES = "\n".join(page.read_text() for page in sorted((ROOT / "book").glob("*.md")))


@pytest.mark.parametrize("name", command.MEASURED)
def test_a_measured_file_belongs_to_what_is_in_use(name):
    reasons = record.stale(name, command.MEASURED[name])
    assert not reasons, "\n".join(reasons)


def test_every_measured_file_has_a_command_and_a_line_on_the_page():
    there = {path.stem for path in record.FOLDER.glob("*.json")}
    assert there <= set(command.MEASURED)
    table = re.findall(r"^\| `(\w+)\.json` \|.*`make measure NAME=(\w+)", PAGES, re.M)
    assert dict(table) == {name: name for name in command.MEASURED}


def test_a_record_of_history_says_why_it_is_not_renewed():
    says = {"bench": "the machine and the day that its stamp names", "trials": "stamp says which weights"}
    assert says.keys() == {n for n, module in command.MEASURED.items() if hasattr(module, "HISTORY")}
    for name, why in says.items():
        meta = record.content(record.FOLDER / f"{name}.json")["meta"]
        assert why in command.MEASURED[name].HISTORY
        assert len(meta["prior_digest"]) == 64 and meta["device"]


def test_the_last_station_of_the_training_is_the_prior_that_ships():
    rows = record.content(record.FOLDER / "samples.json")["rows"]
    assert list(rows.items())[-1] == (str(command.samples.seen_by("faces64")), record.shipped_digest())


def test_step_sizes_in_use_are_those_that_were_tuned():
    chosen = record.content(record.FOLDER / "tuning.json")["chosen"]
    tuned = RestorationPipeline.from_pretrained().step_sizes.tuned
    assert {task: {str(k): row for k, row in rows.items()} for task, rows in tuned.items()} == chosen


def test_what_the_prior_leaves_open_is_what_was_measured_on_faces_that_no_table_uses():
    content = record.content(record.FOLDER / "spectrum.json")
    in_use = RestorationPipeline.from_pretrained().step_sizes.spectrum
    assert {float(s2): lines for s2, lines in content["spectrum"].items()} == in_use
    reported = {row["picture"] for row in record.content(record.FOLDER / "switches.json")["rows"]}
    assert len(set(content["meta"]["pictures"]) - reported) == 50


def test_step_sizes_were_chosen_by_the_rule():
    content = record.content(record.FOLDER / "tuning.json")
    for task, chosen in content["chosen"].items():
        assert command.tuning.chosen([row for row in content["rows"] if row["task"] == task]) == chosen


def test_step_sizes_were_tuned_on_faces_that_no_table_uses():
    tuned_on = set(record.content(record.FOLDER / "tuning.json")["meta"]["pictures"])
    used = {images.digest(x) for x in images.shipped("faces")}
    for file in record.FOLDER.glob("*.json"):
        used |= {row["picture"] for row in record.content(file).get("rows", []) if "picture" in row}
    assert tuned_on and not tuned_on & used


def arguments(**given):
    """Arguments of a measurement as the command has them."""
    shared = {"name": "tried", "command": "python book/measure tried", "seed": 1, "device": "cpu"}
    return argparse.Namespace(**shared, prior="faces64", out=Path("tried.json"), **given)


def module(**changes):
    """A module of a measured file."""
    fields = {"DEPENDS": ("schedule",), "OF_A_PRIOR": True, "settings": lambda name: {"sigma": 0.01}}
    return SimpleNamespace(**fields | changes)


@pytest.fixture
def stamped(tmp_path):
    """Write tried.json with a good stamp and some changes of it; returns its folder."""

    def stamped(**changes):
        meta = record.stamp(arguments(steps=3), record.prior_alone("faces64"), ("schedule",), sigma=0.01)
        record.write(tmp_path / "tried.json", {"meta": meta | changes, "rows": []})
        return tmp_path

    return stamped


def test_a_stamp_is_complete_and_says_nothing_of_folders(stamped):
    meta = record.content(stamped() / "tried.json")["meta"]
    assert set(meta) == {*record.STAMP, "sigma"}
    assert meta["arguments"] == {"steps": 3} and meta["seed"] == 1 and meta["prior"] == "faces64"
    assert record.plain([Path("/home/faces.npy"), 2]) == ["faces.npy", 2]
    assert record.stale("tried", module(), stamped()) == []


@pytest.mark.parametrize(
    "changes, changed, reason",
    [
        ({"prior_digest": "0"}, {}, "another prior"),
        ({"code": "0"}, {}, "other code"),
        ({"sigma": 0.02}, {}, "settings than those in use (sigma)"),
        ({"code": {"schedule.Schedule": "0"}}, {}, "other code (schedule.Schedule)"),
        ({}, {"DEPENDS": provenance.SAMPLING}, "metrics, behaviour)"),
        ({}, {"DEPENDS": ("schedule", "guidance")}, "other code (guidance)"),
        ({}, {"settings": lambda name: {"sigma": 0.01, "more": 1}}, "(more)"),
    ],
)
def test_a_file_of_something_else_is_stale_and_told_how_to_renew(stamped, changes, changed, reason):
    (sentence,) = record.stale("tried", module(**changed), stamped(**changes))
    assert reason in sentence and sentence.endswith("renew it: python book/measure tried")


def test_what_belongs_to_no_prior_or_to_history_is_not_compared_with_the_prior(stamped):
    folder = stamped(prior_digest="0")
    assert record.stale("tried", module(OF_A_PRIOR=False), folder) == []
    assert record.stale("tried", module(HISTORY="why"), stamped(prior_digest="0", code="0")) == []


@pytest.mark.parametrize("text", [None, "{", "[]", '{"rows": []}', '{"meta": []}', '{"meta": {}}'])
def test_a_file_without_a_stamp_is_stale(tmp_path, text):
    if text is not None:
        (tmp_path / "tried.json").write_text(text)
    (sentence,) = record.stale("tried", module(HISTORY="why"), tmp_path)
    assert "no stamp" in sentence and "python book/measure tried" in sentence


def test_a_stamp_with_a_part_missing_is_stale(tmp_path):
    record.write(tmp_path / "tried.json", {"meta": {key: "" for key in record.STAMP if key != "code"}})
    (sentence,) = record.stale("tried", module(), tmp_path)
    assert "stamp without code" in sentence


def test_prose_leaves_the_digest_of_code_alone_and_a_sign_changes_it(monkeypatch, tmp_path):
    good = (Path(provenance.HERE) / "guidance.py").read_text()

    def digests(text):
        (tmp_path / "guidance.py").write_text(text)
        provenance.code_digest.cache_clear()
        return provenance.code_digest("guidance"), record.digest(tmp_path / "guidance.py")

    monkeypatch.setattr(provenance, "HERE", tmp_path)
    first = digests(good)
    assert digests(good.replace('"""', '"""More. ', 1) + "\n# a comment\n") == first
    assert all(a != b for a, b in zip(digests(good.replace("-(norm", "(norm")), first))
    monkeypatch.undo()
    provenance.code_digest.cache_clear()


def made(code, behaviour=None):
    return {"code": code, "behaviour": behaviour or {}}


def test_what_is_added_leaves_a_file_valid_and_what_changes_or_goes_does_not():
    code = {"samplers.dps": "1", "samplers.METHODS.dps": "2"}
    now = code | {"samplers.ddnm": "3", "samplers.METHODS.ddnm": "4"}
    assert record.changes(made(code), made(now)) == []
    assert record.changes(made(code), made({"samplers.dps": "1"})) == ["samplers.METHODS.dps"]
    assert record.changes(made(code), made(code | {"samplers.dps": "5"})) == ["samplers.dps"]
    assert record.changes(made(code), made(code | {"restore.measure": "6"})) == ["restore"]
    then, now = {"sr4 dps": [0.1, 0.2]}, {"sr4 dps": [0.1, 0.2004], "sr4 ddnm": [0.3]}
    assert record.changes(made({}, then), made({}, now)) == []
    assert record.changes(made({}, then), made({}, {"sr4 dps": [0.1, 0.21]})) == ["sr4 dps"]
    assert record.changes(made({}, then), made({}, {"sr4 ddnm": [0.3]})) == ["sr4 dps"]


@pytest.mark.parametrize(
    "module, name, wrong",
    [
        (samplers, "residual_gradient", lambda real: lambda *a: tuple(-part for part in real(*a))),
        (samplers, "dmps_score", lambda real: lambda *a: 1.01 * real(*a)),
        (restore, "generators", lambda real: lambda seed, *a: real(seed + 1, *a)),
        (operators.TASKS, "sr4", lambda real: operators.TASKS["sr8"]),
    ],
    ids=["sign of DPS", "length of DMPS", "another noise", "another operator"],
)
def test_a_wrong_formula_behaves_otherwise(monkeypatch, module, name, wrong):
    if isinstance(module, dict):
        monkeypatch.setitem(module, name, wrong(module[name]))
    else:
        monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    monkeypatch.setattr(behaviour, "TASKS", {"sr4": operators.TASKS["sr4"]})
    then = {key: numbers for key, numbers in behaviour.behaviour().items() if key.startswith("sr4 ")}
    assert behaviour.differing(then, behaviour.behaviour.__wrapped__())


def test_definitions_are_told_apart():
    found = provenance.definitions("operators")
    assert {"operators.make", "operators.TASKS.sr4", "operators.TASKS.outpaint-half"} <= set(found)
    one = dict(provenance.named_parts(provenance.bare("from . import a as b\nT = {'x': 1, 'y': 2}\n")))
    two = dict(provenance.named_parts(provenance.bare("from .. import a as b\nT = {'x': 1, 'y': 3}\n")))
    assert set(one) == {"b", "T.x", "T.y"} and {k for k in one if one[k] != two[k]} == {"b", "T.y"}


def test_the_digest_of_code_is_the_same_in_every_version_of_python():
    """Python 3.12 gave functions and classes a field, and 3.13 hides empty ones when it prints a tree."""
    text = provenance.meaning('def f(x: int = 1) -> int:\n    """Prose."""\n    return -x\n')
    arguments = "arguments(args=[arg(arg='x')],defaults=[Constant(value=1)])"
    body = "[Return(value=UnaryOp(op=USub(),operand=Name(id='x',ctx=Load())))]"
    assert text == f"Module(body=[FunctionDef(name='f',args={arguments},body={body})])"


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": [None, 0.5]}], {"46400": "digest"}])
def test_what_is_written_is_read(tmp_path, rows):
    file, content = tmp_path / "tried.json", {"meta": {"rows": 2}, "rows": rows, "chosen": {"rows": []}}
    record.write(file, content)
    assert record.content(file) == content


def test_a_measurement_goes_on_only_from_the_same(tmp_path):
    out, pipe = tmp_path / "tried.json", record.prior_alone("faces64")
    stamp = lambda **given: record.stamp(arguments(**given), pipe, ("schedule",), count=2)
    meta = stamp(steps=3, tasks=["sr4"])
    record.write(record.part(out), {"meta": {**meta, "commit": "0", "command": "before"}, "rows": [1]})
    assert record.kept(out, meta)["rows"] == [1]
    assert record.kept(out, {**meta, "count": 3}) == {}
    assert record.kept(out, {**meta, "count": 3}, measured=["count"])["rows"] == [1]
    assert record.kept(out, stamp(steps=4, tasks=["sr4"])) == {}
    more = stamp(steps=3, tasks=["sr4", "sr16"])
    assert record.kept(out, more) == {} and record.kept(out, more, apart_from=["tasks"])["rows"] == [1]
    assert record.kept(out, {**meta, "prior_digest": "0"}) == {}


@pytest.mark.parametrize(
    "given", [["nonsense"], [], ["tuning"], ["fidelity", "--faces", "0"], ["tuning", "--images", "nowhere"]]
)
def test_what_cannot_be_measured_is_one_sentence_and_exit_code_2(given, capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        sys.exit(command.main([*given, *(["--out", str(tmp_path / "out.json")] if len(given) > 1 else [])]))
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1 and "measure" in said and not any(tmp_path.iterdir())


def test_the_command_of_a_stamp_is_the_one_that_renews(monkeypatch, tmp_path):
    given = ["tuning", "--images", "/home/faces", "--crop", "140", "--tasks", "sr4", "--device", "cpu"]
    args = command.build_parser().parse_args([*given, "--out", str(tmp_path / "out.json")])
    measure, parser = vars(args).pop("measure"), vars(args).pop("parser")
    assert (
        command.command(args, parser) == "python book/measure tuning --images IMAGES --crop 140 --tasks sr4"
    )
    assert measure is command.tuning.measure


def test_every_method_of_the_frontier_had_the_passes_that_it_was_asked_for():
    rows = record.content(record.FOLDER / "frontier.json")["rows"]
    assert {row["method"] for row in rows} == set(METHODS)
    assert all(abs(row["taken"] - row["passes"]) <= 1 for row in rows)
