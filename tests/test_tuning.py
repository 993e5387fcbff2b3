"""The fair tuning: its shared paths give what the pipeline gives, and its choices follow the rule."""

import json
from functools import partial

import pytest
import torch
from examples import folder_of_faces, small_pipe
from experiments import command, offered, stamp, switches, tuning
from experiments.faces import SIGMA, Faces

from frugal import RestorationPipeline, images, metrics
from frugal.prior import digest
from frugal.prior.step_sizes import STEPS, StepSizes, read, rings
from frugal.runs import chains


@pytest.fixture
def pipe():
    return small_pipe()


@pytest.fixture
def x0():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("task", ["sr4", "inpaint-box"])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_a_branch_of_the_walk_is_the_pipelines_restoration(pipe, x0, task, k):
    """Three steps, two of three faces, each against itself alone."""
    faces = Faces.of(pipe, x0, task, 3, 5, SIGMA)
    face = slice(1, 3)
    restored = faces.dmps(1.75, faces.dps(0.3, [0, 1, 2, 3], face)[k], k, face)
    for i, one in enumerate(x0[face].split(1)):
        m, noise = chains.measure(one, task, SIGMA, 5), chains.generators(5, one, "sampler")
        out = pipe(m, "hybrid", 3, k, 0.3, 1.75, generator=noise)
        # Rounding grows where a guess is near the clip, so a few pixels differ by more than the rest.
        assert (restored[i] - out.images[0]).abs().mean() < 1e-4


def test_a_walk_may_stop_where_its_branch_begins(pipe, x0):
    faces = Faces.of(pipe, x0, "sr4", 3, 5, SIGMA)
    assert torch.equal(faces.dps(0.3, [2])[2], faces.dps(0.3, [0, 2])[2]) and 0 not in faces.dps(0.3, [2])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_setting_is_tried_on_every_face_however_the_batches_are_cut(pipe, x0, size, monkeypatch):
    monkeypatch.setattr(
        metrics,
        "quality",
        lambda x, truth: {
            name: (metric.better * metrics.psnr(x.clamp(-1, 1), truth)).tolist()
            for name, metric in metrics.METRICS.items()
        },
    )
    monkeypatch.setattr(tuning, "ZETAS", 3)
    rows = tuning.tune(Faces.of(pipe, x0, "sr4", 2, 0, SIGMA), x0, "sr4", (0, 50, 100), size)
    settings = [(row["switch"], row["zeta"], row["lam"]) for row in rows]
    zetas = tuning.grid("sr4")
    assert settings == [
        *((0, zeta, None) for zeta in zetas),
        *((50, zeta, lam) for zeta in zetas for lam in tuning.LAMS),
        *((100, None, lam) for lam in tuning.LAMS),
    ]
    row = rows[4]  # against the pipeline, with zeta at 2 steps
    m, noise = chains.measure(x0, "sr4", SIGMA, 0), chains.generators(0, x0, "sampler")
    out = pipe(m, "hybrid", 2, 1, row["zeta"] * STEPS / 2, row["lam"], generator=noise)
    mean = metrics.quality(out.images, x0)["psnr"]
    assert row["psnr"] == pytest.approx(sum(mean) / 3, rel=1e-4)


def test_the_grid_is_geometric_around_its_centre():
    grid = tuning.grid("sr4")
    assert len(grid) == 9 and grid[4] == 12 and grid[0] == 3 and grid[-1] == 48
    assert all(b / a == pytest.approx(2**0.5, rel=1e-3) for a, b in zip(grid, grid[1:]))


def test_the_choice_is_the_lowest_lpips_and_among_ties_the_highest_psnr():
    row = lambda k, zeta, lam, psnr, lpips: {
        "task": "sr4",
        "switch": k,
        "zeta": zeta,
        "lam": lam,
        "psnr": psnr,
        "lpips": lpips,
    }
    rows = [
        row(0, 1.0, None, 20.0, 0.100),
        row(0, 2.0, None, 21.0, 0.1015),  # a tie, and better in pSNR
        row(0, 4.0, None, 29.0, 0.110),  # no tie
        row(5, 3.0, 0.5, 20.0, 0.10),
        row(75, 7.0, 1.75, 20.0, 0.10),
        row(100, None, 1.0, 20.0, 0.10),
    ]
    assert tuning.chosen(rows) == {
        "0": {"zeta": 2.0, "lam": 0.5},
        "5": {"zeta": 3.0, "lam": 0.5},
        "75": {"zeta": 7.0, "lam": 1.75},
        "100": {"zeta": 7.0, "lam": 1.0},
    }


def test_what_is_chosen_becomes_the_priors_step_sizes_and_finished_tasks_are_kept(
    pipe, x0, monkeypatch, tmp_path
):
    (tmp_path / "faces").mkdir()
    images.save(x0[0], tmp_path / "faces" / "a.png")
    monkeypatch.setattr(stamp, "prior_alone", lambda name: pipe)
    monkeypatch.setattr(tuning, "ZETAS", 1)
    out, walks, tune = tmp_path / "tuning.json", [], tuning.tune
    monkeypatch.setattr(tuning, "tune", lambda *those: walks.append(those[2]) or tune(*those))
    given = ["--images", str(tmp_path / "faces"), "--steps", "2", "--switches", "0", "50"]
    given += ["--device", "cpu", "--out", str(out), "--into", str(tmp_path)]
    if metrics.quality(x0, x0)["lpips"][0] is None:
        assert command.main(["tuning", *given, "--tasks", "sr4"]) == 2
        return
    assert command.main(["tuning", *given, "--tasks", "sr4"]) == 0
    assert command.main(["tuning", *given, "--tasks", "sr4", "sr16"]) == 0
    assert walks == ["sr4", "sr16"]
    content, sizes = json.loads(out.read_text()), read(tmp_path, digest(pipe.unet))
    assert sizes.of("sr16", 0, 100) == content["chosen"]["sr16"]["0"]
    assert set(stamp.STAMP) <= set(content["meta"]) and len(content["meta"]["pictures"]) == 1


@pytest.mark.parametrize("size", [64, 128])
def test_what_a_guess_leaves_open_is_written_into_a_folder_without_step_sizes(size, tmp_path):
    prior, faces = tmp_path / "prior", folder_of_faces(tmp_path / "faces", 1)
    small_pipe(size).save_pretrained(prior)
    given = ["--images", str(faces), "--prior", str(prior), "--into", str(prior), "--device", "cpu"]
    assert command.main(["spectrum", *given, "--out", str(tmp_path / "spectrum.json")]) == 0
    sizes = RestorationPipeline.from_pretrained(str(prior)).step_sizes
    for s2, error in sizes.errors.items():
        by_wave = torch.tensor(sizes.spectrum[s2])[:, rings(size, size)]
        assert by_wave.mean().item() == pytest.approx(error, rel=1e-4)


def test_variants_are_the_pipelines_restorations_and_equal_cost_is_equal(pipe, x0):
    """Four steps, of which k = 50 of 100 is two: a DPS step is two passes and a DMPS step one."""
    rows = {0: {"zeta": 0.02, "lam": 1.0}, 50: {"zeta": 0.01, "lam": 1.5}, 100: {"zeta": 0.03, "lam": 1.75}}
    pipe.step_sizes = StepSizes({"sr4": rows})
    faces_at, sizes = (
        partial(Faces.of, pipe, x0, "sr4", seed=0, sigma=SIGMA),
        lambda k: pipe.step_sizes.of("sr4", k, 4),
    )
    found = switches.against_dps(faces_at, sizes, 4, {"2": 2})
    assert {name: (told["steps"], told["switch"]) for name, (_, told) in found.items()} == {
        "dps": (4, 0),
        "dmps": (4, 4),
        "same 2": (4, 2),
        "own 2": (4, 2),
        "equal 2": (3, 0),
    }
    m, noise = chains.measure(x0, "sr4", SIGMA, 0), lambda: chains.generators(0, x0, "sampler")
    for name, method in (
        ("dps", "dps"),
        ("dmps", "dmps"),
        ("own 2", "hybrid"),
        ("same 2", "hybrid"),
        ("equal 2", "dps"),
    ):
        restored, told = found[name]
        out = pipe(m, method, *(told[key] for key in ("steps", "switch", "zeta", "lam")), generator=noise())
        assert (restored - out.images).abs().mean() < 1e-4, name
    assert found["equal 2"][1]["zeta"] == pytest.approx(found["dps"][1]["zeta"] * 4 / 3)
    assert found["own 2"][1]["zeta"] == pipe.step_sizes.of("sr4", 2, 4)["zeta"] < found["same 2"][1]["zeta"]


def test_the_search_begins_with_what_is_known_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Two trials on one of two faces; the better again on both. What was restored is not restored again."""
    for name, value in (("TRIALS", 2), ("FEW", 1), ("AGAIN", 1)):
        monkeypatch.setattr(offered, name, value)
    prior, out = tmp_path / "prior", tmp_path / "offered.json"
    small_pipe(32).save_pretrained(prior)
    given = [
        "--images",
        str(folder_of_faces(tmp_path / "faces", 2)),
        "--prior",
        str(prior),
        "--device",
        "cpu",
    ]
    asked = ["offered", *given, "--tasks", "sr4", "--passes", "4", "--out", str(out)]
    assert command.main(asked) == 0
    content = json.loads(out.read_text())
    tried = [name for name in content["4 passes"] if "1 faces" in name]
    assert len(tried) == 2 and tried[0].endswith(offered.as_text(offered.START))
    found = content["chosen"]["4"]
    assert found["start"]["numbers"] == offered.START
    assert (
        found["all"] == found["sr4"]
        and f"sr4, 2 faces, {offered.as_text(found['all']['numbers'])}" in content["4 passes"]
    )
    assert all(low <= found["all"]["numbers"][name] <= high for name, (low, high, _) in offered.SPACE.items())
    mean, low, high = found["sr4"]["sr4"]["lpips"]
    assert low < mean < high
    monkeypatch.setattr(offered, "quality", None)
    assert command.main(asked) == 0 and json.loads(out.read_text()) == content
