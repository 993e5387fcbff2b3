"""Chains that are kept: found by all that made them, and by nothing else."""

import os
import random
import shutil
from dataclasses import replace

import pytest
import torch
from examples import small_pipe
from safetensors.torch import save_file
from test_architecture import MODULES, ROOT, graph

from frugal import RestorationPipeline, Settings, images
from frugal.base import provenance
from frugal.base.checks import Refusal
from frugal.prior.step_sizes import StepSizes
from frugal.runs import kept
from frugal.runs.chains import chains_of
from frugal.runs.restore import compare, guesses, restore, sweep
from frugal.samplers import POSTER

FEW = Settings(steps=3)
X0 = images.shipped("faces", limit=2)


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "chains"))
    pipe = small_pipe(64)
    pipe.step_sizes = StepSizes({"sr4": {0: {"zeta": 2.0, "lam": 1.0}}})
    pipe.unet.calls = 0
    pipe.unet.register_forward_hook(lambda unet, *_: setattr(unet, "calls", unet.calls + 1))
    return pipe


def calls(pipe, x0=X0, task="sr4", method="dps", sigma=0.01, settings=FEW):
    """Network calls of one restoration."""
    before = pipe.unet.calls
    restore(pipe, x0, task, method, sigma, settings)
    return pipe.unet.calls - before


def test_what_is_kept_is_not_computed_again(pipe):
    rows, restored = restore(pipe, X0, "sr4", "dps", 0.01, FEW)
    assert pipe.unet.calls == 3
    again, same = restore(pipe, X0, "sr4", "dps", 0.01, FEW)
    assert (again, pipe.unet.calls) == (rows, 3) and torch.equal(same, restored)
    assert calls(pipe, images.shipped("faces", limit=3)) == 3  # the third face alone
    assert calls(pipe, images.shipped("faces", limit=3)) == 0


def test_another_page_finds_what_the_first_restored(pipe):
    seen, restored = guesses(pipe, X0, "sr4", "dps", 0.01, FEW)
    assert seen.shape == (3, *X0.shape) and calls(pipe) == 0
    assert torch.equal(restored, restore(pipe, X0, "sr4", "dps", 0.01, FEW)[1])
    before = pipe.unet.calls
    named = dict(zip("ab", X0))
    compare(pipe, named, "sr4", 0.01, FEW, ["dps"])
    assert torch.equal(guesses(pipe, X0, "sr4", "dps", 0.01, FEW)[0], seen)
    assert pipe.unet.calls - before == 2  # what warms up


def test_a_sweep_walks_the_path_of_dps_once(pipe):
    settings, named = Settings(steps=4, zeta=2.0, lam=1.0), dict(zip("ab", X0))
    rows, restored = sweep(pipe, named, "sr4", 0.01, settings, [0, 2, 4], batch_size=1)
    assert pipe.unet.calls == 2 + 2 * (4 + 2 + 4)  # two that warm up
    assert [(row["image"], row["switch"]) for row in rows] == [(n, k) for k in (0, 2, 4) for n in "ab"]
    kept.prune(limit=0)
    for k in (0, 2, 4):
        one, x = compare(pipe, named, "sr4", 0.01, replace(settings, switch=k), ["hybrid"], batch_size=1)
        assert torch.equal(restored[k], x["hybrid"])
        same = [row for row in rows if row["switch"] == k]
        assert [{**row, "seconds": 0} for row in one] == [{**row, "seconds": 0} for row in same]
    before = pipe.unet.calls
    sweep(pipe, named, "sr4", 0.01, settings, [0, 2, 4])
    assert pipe.unet.calls == before


@pytest.mark.parametrize("switch", [0, 1, 2, 4, "collapse"])
def test_the_hybrid_goes_on_from_the_path_of_dps(pipe, switch):
    """Its chain is the one that it has alone, and until it leaves DPS's path that is walked once."""
    settings, named = Settings(4, switch, 2.0, 1.0), dict(zip("ab", X0))
    alone = {method: restore(pipe, X0, "sr4", method, 0.01, settings) for method in POSTER}
    kept.prune(limit=0)
    before = pipe.unet.calls
    rows, restored = compare(pipe, named, "sr4", 0.01, settings)
    late = 4 if switch == "collapse" else switch
    assert (
        pipe.unet.calls - before == 2 + 2 + 2 + 4 + 4 + late
    )  # six that warm up, DPS, DMPS, the hybrid's own
    for method, (own, x) in alone.items():
        assert torch.equal(restored[method], x)
        same = [{**row, "image": name, "seconds": 0} for name, row in zip("ab", own)]
        assert [{**row, "seconds": 0} for row in rows.of(method=method)] == same
    assert all(row["seconds"] > 0 for row in rows)


@pytest.mark.parametrize(("method", "switch"), [("dps", 0), ("dmps", 3)])
def test_a_hybrid_without_a_step_of_the_other_is_found_as_the_one(pipe, method, switch):
    assert calls(pipe, method=method) == 3
    assert calls(pipe, method="hybrid", settings=replace(FEW, switch=switch)) == 0


def test_a_picture_that_has_one_end_of_the_path_is_walked_to_the_other_alone(pipe):
    settings = Settings(4, 2, 2.0, 1.0)
    restore(pipe, X0[:1], "sr4", "dps", 0.01, settings)
    before = pipe.unet.calls
    compare(pipe, dict(zip("ab", X0)), "sr4", 0.01, settings, ["dps", "hybrid"])
    assert pipe.unet.calls - before == 4 + (2 + 2) + (4 + 2)  # four that warm up, the hybrid's, both


@pytest.mark.parametrize(
    "change",
    [
        {"x0": X0.flip(-1)},
        {"task": "sr16"},
        {"method": "dmps"},
        {"sigma": 0.02},
        *({"settings": replace(FEW, **s)} for s in ({"steps": 4}, {"seed": 1}, {"zeta": 2.0})),
    ],
    ids=str,
)
def test_another_input_is_computed(pipe, change):
    assert calls(pipe) == 3
    assert calls(pipe, **change) > 0 and calls(pipe) == 0


def test_another_prior_is_computed(pipe):
    assert calls(pipe) == 3
    weight = next(pipe.unet.parameters())
    weight.data.view(-1)[0] += 1e-3
    assert calls(pipe) == 3
    pipe.scheduler.register_to_config(clip_sample=not pipe.scheduler.config.clip_sample)
    assert calls(pipe) == 3
    pipe.speed_up()
    assert calls(pipe) == 3
    assert calls(pipe, method="centred") == 3
    pipe.step_sizes = replace(pipe.step_sizes, errors={1.0: 0.1, 2.0: 0.2})
    assert calls(pipe) == 0 and calls(pipe, method="centred") == 3  # DPS knows nothing of errors
    pipe.step_sizes = replace(pipe.step_sizes, tuned={"sr4": {0: {"zeta": 3.0, "lam": 1.0}}})
    assert calls(pipe) == 3 and calls(pipe, method="centred") == 0  # and the other nothing of zeta


@pytest.mark.parametrize("version", ["torch", "diffusers", "python"])
def test_another_version_is_computed(pipe, monkeypatch, version):
    assert calls(pipe) == 3
    there = provenance.versions() | {version: "another"}
    monkeypatch.setattr(provenance, "versions", lambda: there)
    assert calls(pipe) == 3


def test_a_planted_change_in_any_module_is_noticed(tmp_path, monkeypatch):
    before = provenance.code_digest()
    shutil.copytree(provenance.HERE, tmp_path / "frugal", ignore=shutil.ignore_patterns("p*s", "__pycache__"))
    monkeypatch.setattr(provenance, "HERE", tmp_path / "frugal")
    planted = provenance.code_digest.__wrapped__
    assert planted() == before
    for module in reached_by_a_chain():
        file = tmp_path / MODULES[module].relative_to(ROOT)
        text = file.read_text()
        file.write_text(f"{text}\nPLANTED = 1\n")
        assert planted() != before, module
        file.write_text(text)
    assert planted() == before


def reached_by_a_chain():
    """The modules that a chain runs through."""
    arrows, reached, todo = graph(), set(), ["frugal.runs.restore"]
    while todo:
        module = todo.pop()
        if module not in reached:
            reached.add(module)
            todo += arrows[module]
    assert {"frugal.guidance", "frugal.samplers.walk", "frugal.prior.step_sizes"} <= reached
    return sorted(reached)


def test_a_poisoned_chain_is_computed_again(pipe, tmp_path):
    """Cut short, with a bit flipped anywhere, or another's in its place."""
    one, here = X0[:1], lambda: sorted(kept.folder().iterdir())
    assert calls(pipe, one) == 3
    (file,) = here()
    good = file.read_bytes()
    chance = random.Random(0)
    flips = [chance.randrange(len(good)) for _ in range(200)] + list(range(0, 400, 7))
    for at in flips:
        bad = bytearray(good)
        bad[at] ^= 1 << chance.randrange(8)
        file.write_bytes(bad)
        assert kept.find(file) is None, at
    for length in (0, 7, 100, len(good) - 1):
        file.write_bytes(good[:length])
        assert kept.find(file) is None
    assert calls(pipe, one) == 3 and file.read_bytes() != b""
    assert calls(pipe, one, settings=replace(FEW, seed=1)) == 3
    (other,) = set(here()) - {file}
    file.write_bytes(other.read_bytes())
    assert calls(pipe, one) == 3 and calls(pipe, one) == 0


def a_loop(file):
    file.symlink_to(file)


def a_pipe(file):
    os.mkfifo(file)


def of_other_numbers(file):
    save_file({"x0": torch.zeros(3, dtype=torch.bfloat16)}, file)


@pytest.mark.parametrize("put", [a_loop, a_pipe, of_other_numbers])
def test_what_is_no_chain_is_computed_again(pipe, put):
    assert calls(pipe, X0[:1]) == 3
    (file,) = kept.folder().iterdir()
    file.unlink()
    put(file)
    assert calls(pipe, X0[:1]) == 3 and calls(pipe, X0[:1]) == 0


def test_a_folder_in_the_place_of_a_chain_is_named(pipe):
    calls(pipe, X0[:1])
    (file,) = kept.folder().iterdir()
    file.unlink()
    file.mkdir()
    with pytest.raises(Refusal, match=f"^out: .*{file.stem}.* cannot be written .Is a directory."):
        calls(pipe, X0[:1])


def test_the_chains_of_somebody_else_are_read(pipe, monkeypatch):
    assert calls(pipe) == 3

    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(kept.os, "utime", forbidden)
    assert calls(pipe) == 0


def test_what_was_left_of_a_chain_goes_and_what_cannot_be_deleted_stays(pipe):
    calls(pipe)
    (kept.folder() / "a.safetensors.1.part").touch()
    (kept.folder() / "b.safetensors").symlink_to("b.safetensors")
    (kept.folder() / "c.safetensors").mkdir()
    kept.prune(limit=-1)
    assert [file.name for file in kept.folder().iterdir()] == ["c.safetensors"]


def test_what_was_not_read_for_longest_is_deleted(pipe):
    calls(pipe)
    _, second = sorted(kept.folder().iterdir())
    kept.prune(limit=second.stat().st_size)
    assert len([*kept.folder().iterdir()]) == 1


def test_without_a_folder_and_for_a_foreign_network_nothing_is_kept(pipe, monkeypatch):
    class Foreign(torch.nn.Module):
        config = pipe.unet.config

        def forward(self, x, timestep):
            return pipe.unet(x, timestep)

    other = RestorationPipeline(Foreign(), pipe.scheduler)
    other.set_progress_bar_config(disable=True)
    settings = other.complete(FEW, "dps", "sr4")
    chains_of(other, X0, "sr4", 0.01, {"dps": ("dps", settings)})
    assert kept.folder() is not None and not kept.folder().exists()
    monkeypatch.delenv(kept.VARIABLE)
    assert calls(pipe) == calls(pipe) == 3
