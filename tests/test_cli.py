"""The command: what it writes and says, resuming, and bad input in one sentence with exit code 2."""

import json
import os
import sys
from dataclasses import replace

import pytest
import torch
from examples import folder_of_faces, saved, small_pipe

from frugal import cli, images
from frugal.metrics import METRICS
from frugal.results import stored
from frugal.runs import evaluate

pytestmark = pytest.mark.usefixtures("small")
STEPS = ["--steps", "2", "--switch", "1"]
METHODS = ["dps", "dmps", "hybrid"]


@pytest.fixture
def folder(tmp_path):
    return folder_of_faces(tmp_path / "pictures", 3)


def run(folder, out, *more):
    asked = ["--images", str(folder), "--task", "sr4", "--methods", *METHODS, *STEPS, "--out", str(out)]
    return cli.main(["evaluate", *asked, *more])


def numbers(out):
    return {(r["image"], r["method"]): (r["psnr"], r["lpips"]) for r in json.loads(out.read_text())["rows"]}


def test_results_file(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert run(folder, out) == 0
    results = json.loads(out.read_text())
    assert [(r["image"], r["method"]) for r in results["rows"]] == [
        (f"{i}.png", m) for i in range(3) for m in METHODS
    ]
    made_by = {"task", "method", "sigma", "steps", "switch", "zeta", "lam", "seed"}
    found = {*METRICS, "seconds", "nfe", "backprops"}
    assert set(results["rows"][0]) == {"image", "picture", "made_from"} | made_by | found
    assert made_by - {"method"} | {"device", "torch", "commit", "prior_digest", "code"} <= set(
        results["meta"]
    )
    assert [r["backprops"] for r in results["rows"][:3]] == [2, 0, 1]
    assert "hybrid - dps" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["r.json"]


def test_an_interrupted_evaluation_goes_on(folder, tmp_path, monkeypatch):
    out, whole = tmp_path / "r.json", tmp_path / "whole.json"
    one_by_one = ("--batch-size", "1")
    run(folder, whole, *one_by_one)
    restored, restore = [], evaluate.restore

    def stop_after(count):
        def counted(pipe, x0, task, method, sigma, settings):
            if len(restored) == count:
                raise KeyboardInterrupt
            restored.extend((images.digest(x), method) for x in x0)
            return restore(pipe, x0, task, method, sigma, settings)

        return counted

    monkeypatch.setattr(evaluate, "restore", stop_after(4))
    assert run(folder, out, *one_by_one) == 130 and not out.exists()
    monkeypatch.setattr(evaluate, "restore", stop_after(99))
    assert run(folder, out, *one_by_one) == 0
    assert len(restored) == len(set(restored)) == 9  # nothing twice
    assert numbers(out) == numbers(whole)
    assert not list(tmp_path.glob("*.rows"))
    run(folder, out, *one_by_one)
    assert len(restored) == 9  # a finished run is not done again


def test_a_row_belongs_to_a_pictures_content(folder, tmp_path):
    """Another picture under an old name is restored anew; a picture added in front changes no other row."""
    out, asked = tmp_path / "r.json", ("--methods", "dmps", "--batch-size", "1")
    run(folder, out, *asked)
    before = numbers(out)
    images.save(images.load(folder / "1.png").flip(-1), folder / "2.png")
    images.save(images.load(folder / "1.png").flip(-2), folder / "0a.png")
    run(folder, out, *asked)
    after = numbers(out)
    assert {name for name, _ in after} == {"0.png", "0a.png", "1.png", "2.png"}
    assert all(after[name, "dmps"] == before[name, "dmps"] for name in ("0.png", "1.png"))
    assert after["2.png", "dmps"] != before["2.png", "dmps"]
    fresh = tmp_path / "fresh.json"
    run(folder, fresh, *asked)
    assert after == numbers(fresh)


def test_rows_made_by_other_step_sizes_are_not_kept(folder, tmp_path, capsys):
    """The prior is tuned anew between two runs: DPS's rows are those of a fresh file, and DMPS's stay."""
    prior = saved(small_pipe(64), tmp_path / "prior")
    few = ("--prior", str(prior), "--limit", "1", "--methods", "dps", "centred")
    run(folder, tmp_path / "r.json", *few)
    file = prior / "step_sizes.json"
    content = json.loads(file.read_text())
    for row in content["tuned"]["sr4"].values():
        row["zeta"] *= 3
    file.write_text(json.dumps(content))
    capsys.readouterr()
    run(folder, tmp_path / "r.json", *few)
    assert "1 rows that were made from something else, or edited, are dropped" in capsys.readouterr().out
    run(folder, tmp_path / "fresh.json", *few)
    assert numbers(tmp_path / "r.json") == numbers(tmp_path / "fresh.json")


def test_a_number_that_was_edited_is_computed_again(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    run(folder, out, "--methods", "dps", "dmps", "--limit", "1")
    before, content = numbers(out), json.loads(out.read_text())
    content["rows"][0]["psnr"] += 1
    out.write_text(json.dumps(content))
    run(folder, out, "--methods", "dps", "dmps", "--limit", "1")
    assert "1 rows that were made from something else, or edited, are dropped" in capsys.readouterr().out
    assert numbers(out) == before


def test_a_file_is_json_also_where_a_picture_comes_back_as_it_was(folder, tmp_path, monkeypatch):
    """Its pSNR is infinite, which JSON cannot write."""
    monkeypatch.setitem(
        METRICS, "psnr", replace(METRICS["psnr"], measure=lambda x, y: torch.full((len(x),), torch.inf))
    )
    run(folder, tmp_path / "r.json", "--methods", "dmps", "--limit", "1")
    (row,) = json.loads((tmp_path / "r.json").read_text(), parse_constant=int)["rows"]
    assert row["psnr"] is None and row["lpips"] is not None


def test_the_file_and_the_table_hold_what_was_asked_for(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    run(folder, out, "--methods", "dps")
    capsys.readouterr()
    run(folder, out, "--methods", "dmps", "--limit", "2")
    said = capsys.readouterr().out
    assert set(numbers(out)) == {(f"{i}.png", m) for i in range(2) for m in ("dps", "dmps")}
    assert "1 rows of pictures that are not asked for are dropped" in said
    assert "| dmps" in said and "| dps" not in said


def test_a_bug_shows_its_trace_and_a_full_disk_is_a_sentence(folder, tmp_path, monkeypatch, capsys):
    def fails(error):
        def restore(*_):
            raise error

        return restore

    monkeypatch.setattr(evaluate, "restore", fails(ValueError("a mistake of ours")))
    with pytest.raises(ValueError, match="a mistake of ours"):
        run(folder, tmp_path / "r.json")
    monkeypatch.setattr(evaluate, "restore", lambda *_: ([{"picture": "", "method": ""}] * 3, None))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("frugal.base.files.os.replace", full)
    assert run(folder, tmp_path / "r.json") == 2
    assert "No space left on device); free space" in capsys.readouterr().err


def test_few_steps_need_no_switch(tmp_path, capsys):
    photo = tmp_path / "photo.png"
    images.save(torch.zeros(3, 64, 64), photo)
    few = ["--task", "sr4", "--method", "dps", "--steps", "2", "--out", str(tmp_path / "out.png")]
    assert cli.main(["restore", str(photo), *few]) == 0
    assert "2 steps, 4 passes through the network" in capsys.readouterr().out


def test_other_settings_do_not_mix(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    run(folder, out, "--limit", "1")
    before = out.read_text()
    assert run(folder, out, "--limit", "1", "--seed", "1") == 2
    assert "another seed" in capsys.readouterr().err and out.read_text() == before


def restore(photo, out, *more):
    return cli.main(["restore", str(photo), "--task", "sr4", *STEPS, "--out", str(out), *more])


def test_restore_says_what_it_did(tmp_path, capsys):
    photo = tmp_path / "photo.png"
    images.save(torch.rand(3, 50, 90) * 2 - 1, photo)
    assert restore(photo, tmp_path / "out.png") == 0
    said = capsys.readouterr().out
    assert "centre-cropped and resized to 64 x 64" in said and "pSNR" in said
    assert images.load(tmp_path / "out.png").shape == (3, 64, 64)
    first = (tmp_path / "out.png").read_bytes()
    restore(photo, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == first


def test_two_runs_into_one_file_lose_nothing(folder, tmp_path, monkeypatch):
    """The second is begun and finished while the first is at work."""
    out, restore, asked = tmp_path / "r.json", evaluate.restore, []

    def interrupted(*given):
        if not asked:
            asked.append(True)
            with monkeypatch.context() as other:
                other.setattr("os.getpid", lambda: 1)
                assert run(folder, out, "--methods", "dmps") == 0
        return restore(*given)

    monkeypatch.setattr(evaluate, "restore", interrupted)
    assert run(folder, out, "--methods", "dps") == 0
    assert set(numbers(out)) == {(f"{i}.png", m) for i in range(3) for m in ("dps", "dmps")}
    assert not list(tmp_path.glob("*.rows"))


@pytest.mark.parametrize("buffering", [1, -1], ids=["line by line", "at the end"])
def test_a_closed_pipe_ends_quietly(monkeypatch, buffering):
    """Nobody reads what is printed: neither the command nor the closing of its stdout raises."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=buffering) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main(["info", "faces64"]) == 141


def test_no_room_for_what_is_printed_is_a_sentence(monkeypatch, capsys):
    with open("/dev/full", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main(["info", "faces64"]) == 2
    assert capsys.readouterr().err == "frugal info: what is printed cannot be written; free space\n"


def test_a_run_that_ends_while_another_writes_its_end_loses_nothing(folder, tmp_path, monkeypatch):
    out, seconds, asked = tmp_path / "r.json", evaluate.seconds_per_call, []

    def meanwhile(pipe):
        if not asked:
            asked.append(True)
            assert run(folder, out, "--methods", "dmps") == 0
        return seconds(pipe)

    monkeypatch.setattr(evaluate, "seconds_per_call", meanwhile)
    assert run(folder, out, "--methods", "dps") == 0
    assert set(numbers(out)) == {(f"{i}.png", m) for i in range(3) for m in ("dps", "dmps")}


def test_what_another_run_has_tidied_up_has_no_rows(tmp_path):
    assert stored.read(tmp_path / "r.json.0-1.rows", {}) == []
