"""Chains that are kept: found by all that made them, and by nothing else."""

import shutil
from dataclasses import replace

import pytest
import torch
from test_architecture import MODULES, graph

from frugal import RestorationPipeline, Settings, images
from frugal.base import provenance
from frugal.base.checks import Refusal
from frugal.runs import kept
from frugal.runs.restore import chains_of, compare, guesses, restore
from frugal.runs.sweep import sweep

FEW = Settings(steps=3)
X0 = images.shipped("faces", limit=2)
COMPUTING = sorted(m.split(".")[1] for m in MODULES if m.count(".") == 1 and MODULES[m].stem != "__init__")


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "chains"))
    pipe = RestorationPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
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
    assert pipe.unet.calls - before == 3 * 2  # what warms up, once


def test_a_sweep_walks_the_path_of_dps_once(pipe):
    settings, named = Settings(steps=4, zeta=2.0, lam=1.0), dict(zip("ab", X0))
    rows, restored = sweep(pipe, named, "sr4", 0.01, settings, [0, 2, 4], batch_size=1)
    assert pipe.unet.calls == 2 * (4 + 2 + 4)
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
    with pytest.raises(Refusal, match="^settings: "):
        sweep(pipe, named, "sr4", 0.01, FEW, [0])


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
    pipe.step_sizes = replace(pipe.step_sizes, errors={1.0: 0.1, 2.0: 0.2})
    assert calls(pipe) == 3


@pytest.mark.parametrize("version", ["torch", "diffusers", "python"])
def test_another_version_is_computed(pipe, monkeypatch, version):
    assert calls(pipe) == 3
    there = provenance.versions() | {version: "another"}
    monkeypatch.setattr(provenance, "versions", lambda: there)
    assert calls(pipe) == 3


@pytest.mark.parametrize("module", COMPUTING)
def test_a_planted_change_in_any_module_is_noticed(module, tmp_path, monkeypatch):
    before = kept.code()
    for path in provenance.HERE.glob("*.py"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(provenance, "HERE", tmp_path)
    provenance.code_digest.cache_clear()
    assert kept.code() == before
    (tmp_path / f"{module}.py").open("a").write("\nPLANTED = 1\n")
    provenance.code_digest.cache_clear()
    planted = kept.code()
    monkeypatch.undo()
    provenance.code_digest.cache_clear()
    assert planted != before == kept.code()


def test_a_chain_runs_through_no_other_module():
    arrows, reached, todo = graph(), set(), ["frugal.restore", "frugal.switches"]
    while todo:
        module = todo.pop()
        if module not in reached:
            reached.add(module)
            todo += arrows[module]
    judging = {"lpips_weights"}  # what is kept is judged anew
    assert {m.split(".", 1)[1] for m in reached} - judging <= set(COMPUTING)


def test_a_damaged_file_is_computed_again_and_old_ones_are_deleted(pipe):
    assert calls(pipe) == 3
    first, second = sorted(kept.folder().iterdir())
    first.write_bytes(first.read_bytes()[:100])
    assert calls(pipe) == 3 and calls(pipe) == 0
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
    chains_of(other, X0, "sr4", "dps", 0.01, settings)
    assert kept.folder() is not None and not kept.folder().exists()
    monkeypatch.delenv(kept.VARIABLE)
    assert calls(pipe) == calls(pipe) == 3
