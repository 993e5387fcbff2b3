"""The measurements beyond the tuning: each variant is what its name says, on a small random network."""

from types import SimpleNamespace

import pytest
import torch
from examples import small_pipe
from experiments import conditions, domains, natural, published, rule, seeds
from experiments.faces import faces_of

from frugal import images
from frugal.guidance import dmps_score
from frugal.prior.step_sizes import StepSizes
from frugal.runs import chains

SIZES = {"sr4": {0: {"zeta": 0.3, "lam": 1.0}}}


@pytest.fixture
def pipe():
    pipe = small_pipe()
    pipe.step_sizes = StepSizes(SIZES)
    return pipe


@pytest.fixture
def named():
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return {"a.png": x[0], "b.png": x[1]}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(published, "STEPS", 4)
    monkeypatch.setattr(published, "SWITCH", 2)
    monkeypatch.setattr(rule, "STEPS", 4)
    monkeypatch.setattr(seeds, "STEPS", 4)
    monkeypatch.setattr(seeds, "SWITCH", 2)


def job_of(pipe):
    """What experiments ask of a job that measures pictures."""
    return SimpleNamespace(pipe=pipe, args=SimpleNamespace(seed=0))


def restored(pipe, named, method, steps, **own):
    """What the pipeline makes of the pictures, with the noise that measurements have."""
    x0 = torch.stack(list(named.values()))
    m = chains.measure(x0, "sr4", 0.01, 0)
    return pipe(m, method, steps, generator=chains.generators(0, x0, "sampler"), **own).images


def test_the_short_step_is_eq_5_at_the_next_level_times_that_of_one_level(pipe, named, few):
    faces = faces_of(job_of(pipe), named, "sr4", 4, 0.01)
    x, S = faces.z[0], faces.schedule
    out = faces.end(published.short(faces, 0.5), x, 1)
    a = float(pipe.scheduler.alphas[S.timestep[1]])
    with torch.no_grad():
        alone = S.ancestral(1, x, faces.denoise(x, 1), faces.z[-1])
    assert torch.allclose(out - alone, 0.5 * (1 - a) / a**0.5 * dmps_score(x, faces.m, 1.0), atol=1e-5)
    assert torch.equal(faces.end(published.short(faces, 0), x, 1), alone)


def test_the_iterates_are_still_where_consecutive_ones_agree(monkeypatch):
    monkeypatch.setattr(published, "STEPS", 4)
    moves = torch.tensor([[1.0, 1.0], [1.0, 0.1], [0.1, 0.1], [1.0, 0.1]])  # at k = 4, 3, 2, 1
    places = torch.cat([torch.zeros(1, 2), moves.cumsum(0)])
    path = {4 - i: places[i].reshape(2, 1, 1, 1).expand(2, 3, 4, 4) for i in range(5)}
    assert published.still(path) == [1, 2]  # 0.1 is 26 dB below the range of 2


def test_published_variants_begin_with_the_librarys_own(pipe, named, few):
    faces = faces_of(job_of(pipe), named, "sr4", 4, 0.01)
    found = published.variants(faces, {"gaps": {"zeta": 0.4, "length": 0.5}})
    for name, own in (("dps", {}), ("hybrid", {"switch": 2}), ("dmps", {})):
        assert (found[name][0] - restored(pipe, named, name, 4, **own)).abs().mean() < 1e-4
    of_kit = {f"{m} {name}" for m in ("dps", "hybrid") for name in ("kit", "weak", "gaps")}
    assert of_kit < set(found) and len(found["weak, k from iterates"][1]["switch"]) == 2


def test_a_condition_chooses_and_judges_with_the_librarys_samplers(pipe, named):
    c = conditions.Condition("sr4", 4, 0.01)
    job = job_of(pipe)
    sizes = {k: {"zeta": 0.3, "lam": 1.0} for k in ("0", "1", "2")}
    rows = conditions.judged(job, named, c, sizes)
    assert list(dict.fromkeys(row["method"] for row in rows)) == ["dps", "dmps", "own 23", "own 50"]
    x = restored(pipe, named, "hybrid", 4, switch=2, zeta=0.3, lam=1.75)
    (ours,) = (row["psnr"] for row in rows if (row["image"], row["method"]) == ("a.png", "own 50"))
    mse = ((x[0].clamp(-1, 1) - named["a.png"]) ** 2).mean()
    assert abs(ours - 10 * torch.log10(4 / mse)) < 1e-2
    assert set(conditions.tuned(job, named, c)) == {"0", "1", "2"}


def test_the_rule_is_the_hybrid_at_the_k_that_it_found(pipe, named, few):
    rows = rule.rows_of(pipe, named, "sr4", 0)
    assert [row["method"] for row in rows] == ["dps"] * 2 + ["first"] * 2 + ["settled"] * 2
    for row in rows:
        x = restored(pipe, named, "hybrid", 4, switch=row["switch"], zeta=row["zeta"], lam=row["lam"])
        i = list(named).index(row["image"])
        mse = ((x[i].clamp(-1, 1) - named[row["image"]]) ** 2).mean()
        assert abs(row["psnr"] - 10 * torch.log10(4 / mse)) < 1e-2


def test_draws_of_one_measurement_differ_in_the_samplers_noise_alone(pipe, named, few):
    x0 = named["a.png"]
    found = seeds.spread(pipe, "a.png", x0, "sr4", "dps", 2)
    own = [chains.generator(seed, images.digest(x0), "sampler") for seed in (0, 1)]
    m = chains.measure(x0[None], "sr4", 0.01, 0)
    x = torch.cat([pipe(m, "dps", 4, generator=one).images for one in own])
    assert abs(found["spread"] - x.var(0).mean().sqrt()) < 1e-3 and found["spread"] > 0


def test_photographs_are_restored_by_the_librarys_methods(pipe, named, monkeypatch):
    monkeypatch.setattr(natural, "STEPS", 4)
    monkeypatch.setattr(natural, "SWITCHES", (2,))
    job = SimpleNamespace(pipe=pipe, args=SimpleNamespace(seed=0, tasks=["sr4"]), pictures=lambda: named)
    runs = list(natural.runs(job))
    assert [run.fields for run in runs] == [{"task": "sr4", "steps": 4}, {"task": "sr4", "steps": 14}]
    found = natural.by_poster(job, named, "sr4") | natural.by_best(job, named, "sr4")
    own = {"zeta": found["dps"][1]["zeta"], "lam": found["hybrid 2"][1]["lam"], "switch": 2}
    for name, method, steps, told in (
        ("dps", "dps", 4, {}),
        ("dmps", "dmps", 4, {}),
        ("hybrid 2", "hybrid", 4, own),
        ("spectral", "spectral", 14, {}),
    ):
        assert (found[name][0] - restored(pipe, named, method, steps, **told)).abs().mean() < 1e-4, name


def test_pictures_that_are_no_photographs(pipe, named, monkeypatch):
    x = 0.2 * torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.1
    other = domains.texture(x)
    assert torch.allclose(torch.fft.fft2(other).abs(), torch.fft.fft2(x).abs(), atol=1e-4)
    assert torch.allclose(other.mean((1, 2)), x.mean((1, 2)), atol=1e-6) and (other - x).abs().mean() > 0.1
    both = torch.fft.fft2(other) * torch.fft.fft2(x).conj()
    turns = both / both.abs()
    assert torch.allclose(turns[0], turns[1], atol=1e-3)  # colours stay together
    pages = domains.text(4, 32)
    assert all(page.shape == (3, 32, 32) and page.min() < -0.5 and page.max() == 1 for page in pages.values())
    assert len({images.digest(page) for page in pages.values()}) == 4
    pictures = lambda folder="images": named
    job = SimpleNamespace(pipe=pipe, args=SimpleNamespace(limit=2, seed=0), pictures=pictures)
    monkeypatch.setattr(natural, "STEPS", 4)
    monkeypatch.setattr(natural, "SWITCHES", (2,))
    runs = list(domains.runs(job))
    assert [(run.fields["domain"], run.fields["steps"]) for run in runs] == [
        (domain, steps) for domain in ("handwriting", "text", "textures") for steps in (4, 14)
    ]
    found = [{row["method"] for row in run.rows_of(run.pictures)} for run in runs[2:4]]
    assert found == [{"dps", "dmps", "hybrid 2"}, {"spectral"}]
    asked = {images.digest(x) for run in runs for x in run.pictures.values()}
    assert domains.then(job)["distance"].keys() == asked
