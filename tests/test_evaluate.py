"""Evaluation files and the command: resuming, settings that differ, bad input with exit code 2."""

import json

import pytest
import torch

from frugal import cli, evaluate, images

STEPS = ["--steps", "2", "--switch", "1"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, x in enumerate(images.shipped("faces", limit=3)):
        images.save(x, folder / f"{i}.png")
    return folder


def run(folder, out, *more):
    return cli.main(["evaluate", "--images", str(folder), "--task", "sr4", *STEPS, "--out", str(out), *more])


def test_results_file(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert run(folder, out) == 0
    results = json.loads(out.read_text())
    assert [(r["image"], r["method"]) for r in results["rows"]] == [
        (f"{i}.png", m) for i in range(3) for m in ("dps", "dmps", "hybrid")
    ]
    assert {"image", "task", "method", "psnr", "lpips", "seconds", "nfe", "backprops", "switch"} == set(
        results["rows"][0]
    )
    assert {
        "steps",
        "switch",
        "sigma",
        "seed",
        "device",
        "torch",
        "commit",
        "prior_digest",
        "zeta",
        "lam",
    } <= set(results["meta"])
    assert [r["backprops"] for r in results["rows"][:3]] == [2, 0, 1]
    assert "hybrid - dps" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["r.json"]


def test_an_interrupted_evaluation_goes_on(folder, tmp_path, monkeypatch):
    out, whole = tmp_path / "r.json", tmp_path / "whole.json"
    one_by_one = ("--batch-size", "1")
    run(folder, whole, *one_by_one)
    restored, restore = [], evaluate.restore

    def stop_after(count):
        def counted(pipe, x0, indices, task, method, **settings):
            if settings["sigma"] != 0.0:  # not the warm-up
                if len(restored) == count:
                    raise KeyboardInterrupt
                restored.extend((i, method) for i in indices)
            return restore(pipe, x0, indices, task, method, **settings)

        return counted

    monkeypatch.setattr(evaluate, "restore", stop_after(4))
    assert run(folder, out, *one_by_one) == 130 and not out.exists()
    monkeypatch.setattr(evaluate, "restore", stop_after(99))
    assert run(folder, out, *one_by_one) == 0
    assert len(restored) == len(set(restored)) == 9  # nothing twice
    numbers = lambda path: [
        (r["image"], r["method"], r["psnr"]) for r in json.loads(path.read_text())["rows"]
    ]
    assert numbers(out) == numbers(whole)
    assert not list(tmp_path.glob("*.part"))
    run(folder, out, *one_by_one)
    assert len(restored) == 9  # a finished run is not done again


def test_other_settings_do_not_mix(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    run(folder, out, "--limit", "1")
    before = out.read_text()
    assert run(folder, out, "--limit", "1", "--seed", "1") == 2
    assert "another seed" in capsys.readouterr().err and out.read_text() == before


@pytest.mark.parametrize(
    "change, word",
    [
        (["--task", "sr5"], "task"),
        (["--steps", "0"], "num_inference_steps"),
        (["--switch", "3"], "switch"),
        (["--switch", "-1"], "switch"),
        (["--sigma", "-1"], "sigma"),
        (["--sigma", "nan"], "sigma"),
        (["--zeta", "-1"], "zeta"),
        (["--lam", "inf"], "lam"),
        (["--prior", "nope"], "prior"),
        (["--methods", "ddrm"], "methods"),
        (["--limit", "0"], "limit"),
        (["--batch-size", "0"], "batch_size"),
        (["--images", "/nowhere"], "images"),
        (["--out", "/nowhere/r.json"], "out"),
    ],
)
def test_bad_evaluation_is_one_sentence_and_writes_nothing(folder, tmp_path, capsys, change, word):
    assert run(folder, tmp_path / "r.json", *change) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"frugal evaluate: {word}: ")
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]


def test_a_folder_with_no_pictures(tmp_path, capsys):
    assert run(tmp_path, tmp_path / "r.json") == 2
    assert "holds no picture" in capsys.readouterr().err


def test_a_file_that_is_no_results_file_is_left_alone(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    out.write_text("my diary")
    assert run(folder, out) == 2
    assert out.read_text() == "my diary" and "no results file" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    "change, word",
    [
        (["--task", "sr5"], "task"),
        (["--method", "ddrm"], "method"),
        (["--steps", "1001"], "num_inference_steps"),
        (["--switch", "9"], "switch"),
        (["--sigma", "inf"], "sigma"),
        (["--prior", "x/y/z"], "prior"),
        (["--crop", "65"], "crop"),
        (["--out", "/nowhere/out.png"], "out"),
    ],
)
def test_bad_restoration_is_one_sentence_and_writes_nothing(tmp_path, capsys, change, word):
    photo = tmp_path / "photo.png"
    images.save(torch.zeros(3, 64, 64), photo)
    assert restore(photo, tmp_path / "out.png", *change) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"frugal restore: {word}: ")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("content", [None, b"not a picture", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_file_that_is_no_picture(tmp_path, capsys, content):
    photo = tmp_path / "photo.png"
    if content is not None:
        photo.write_bytes(content)
    assert restore(photo, tmp_path / "out.png") == 2
    assert capsys.readouterr().err.startswith("frugal restore: image: ")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("arguments", [[], ["paint"], ["restore"], ["evaluate", "--steps", "many"]])
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2 and len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "bounds, better, word",
    [
        ((0.1, 0.3), 1, "better"),
        ((0.1, 0.3), -1, "worse"),
        ((-0.3, -0.1), 1, "worse"),
        ((-0.3, -0.1), -1, "better"),
        ((-0.1, 0.1), 1, "undecided"),
        ((float("nan"), float("nan")), 1, "undecided"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(bounds, better, word):
    assert evaluate.verdict((sum(bounds) / 2, *bounds), better) == word


def test_the_table_pairs_pictures():
    """DPS varies by 10 dB between pictures, the hybrid is 1 dB better on each: the difference has no spread."""
    rows = [
        {"image": str(i), "method": method, "psnr": 10.0 * i + gain, "lpips": None, "seconds": 2.0}
        for i in range(3)
        for method, gain in (("dps", 0), ("hybrid", 1))
    ]
    head, line, dps, hybrid, difference = evaluate.table(rows).splitlines()
    assert "LPIPS" not in head and set(line) <= set("|- ")
    assert dps.split("|")[1:3] == [" dps          ", " 10.000 [-14.841, 34.841] "]
    assert "11.000" in hybrid and difference.split("|")[2].strip() == "+1.000 [+nan, +nan]"
