"""The playground: its formulas are Python's, its graphs are the shipped network, its page restores what Python does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from examples import by_node, seeded

from frugal import RestorationPipeline, images, operators
from frugal.samplers.walk import last, walk
from frugal.settings import Complete
from play import assemble as play

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("dps", "dmps", "hybrid", "centred", "spectral")
SIGMA, STEPS = 0.05, 10


class Formula(torch.nn.Module):
    """A network that is a formula, the same in both languages."""

    def forward(self, x, t):
        class Output:
            sample = 0.9 * torch.sin(x) - 0.3 * x + t / 2000

        return Output


def own(method, steps=STEPS):
    return {"switch": steps // 2 if method == "hybrid" else 0, "zeta": 3.0, "lam": 0.5}


@pytest.fixture(scope="module", params=[64, 32])
def both(request, tmp_path_factory):
    """{(task, method): (what JavaScript gives, what Python gives)}, of pictures of two sizes."""
    size, shipped = request.param, RestorationPipeline.from_pretrained()
    shipped.unet.register_to_config(sample_size=size)
    pipe = RestorationPipeline(Formula(), shipped.scheduler)
    pipe.step_sizes = shipped.step_sizes
    x0 = images.shipped("faces", size, 1).double()
    noise = torch.randn(3 * STEPS + 1, *x0.shape, generator=seeded(1), dtype=torch.float64)
    written = play.schedules(shipped)
    cases, python = [], {}
    for task, name in play.TASKS.items():
        A = operators.make(name, x0.shape[1:])
        m = A.measure(x0, SIGMA, seeded(2))
        for method in SHOWN:
            schedule, given = pipe.schedule(method, STEPS), Complete(STEPS, **own(method))
            step = pipe.step(method, given, schedule, x0.shape[1:])
            end = last(walk(step, schedule, m, iter(noise).__next__))
            python[task, method] = {
                "x": end.x,
                "passes": end.passes.item(),
                "Ax": A(x0),
                "pinv": A.A_pinv(m.y),
                "adjoint": A.A_adjoint(m.y),
            }
            case = {"task": task, "method": method, "y": m.y.flatten().tolist(), "sigma": SIGMA}
            cases.append({**case, **own(method)})
    seen = (~operators.patterns.box_mask(x0.shape[1:])).int().flatten().tolist()
    shared = {"x0": x0.flatten().tolist(), "noise": noise.flatten(1).tolist(), "seen": seen}
    shared |= {**written, "steps": STEPS}
    answer = by_node("formulas.mjs", {"cases": cases, **shared}, tmp_path_factory.mktemp("formulas"))
    return dict(zip(python, zip(answer["out"], python.values()))), answer["normals"]


@pytest.mark.parametrize("task", play.TASKS)
@pytest.mark.parametrize("what", ["Ax", "pinv", "adjoint"])
def test_the_operators_are_pythons(both, task, what):
    ours, theirs = both[0][task, "dmps"]
    assert np.abs(np.array(ours[what]) - theirs[what].flatten().numpy()).max() < 1e-9


@pytest.mark.parametrize("task", play.TASKS)
@pytest.mark.parametrize("method", SHOWN)
def test_a_method_is_pythons_from_the_same_noise(both, task, method):
    """Conjugate gradients make a rounding error larger."""
    ours, theirs = both[0][task, method]
    expected = theirs["x"].flatten().numpy()
    tolerance = 1e-3 if method == "spectral" else 1e-9
    assert np.abs(np.array(ours["x"]) - expected).max() < tolerance * np.abs(expected).max()
    assert ours["passes"] == theirs["passes"]


@pytest.mark.parametrize("method", SHOWN)
def test_a_loop_that_goes_on_from_the_middle_ends_where_the_whole_one_does(both, method):
    ours, _ = both[0]["sr4", method]
    assert ours["again"] == ours["x"]


def test_the_noise_is_standard_normal(both):
    assert abs(both[1]["mean"]) < 0.03 and abs(both[1]["variance"] - 1) < 0.04


@pytest.fixture(scope="module")
def network():
    return RestorationPipeline.from_pretrained().unet.eval()


def run_graph(name, **given):
    """What a committed graph gives, with the weights of the shipped file."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path = ROOT / "frugal" / "priors" / play.PRIOR / "unet" / play.WEIGHTS
    options, content = onnxruntime.SessionOptions(), path.read_bytes()
    options.add_external_initializers_from_files_in_memory([path.name], [content], [len(content)])
    graph = (ROOT / "book" / "play" / f"{name}.onnx").read_bytes()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(v) for v in session.run(None, {k: v.numpy() for k, v in given.items()})]


@pytest.mark.parametrize("timestep", [0, 10, 400, 999])
def test_the_graphs_are_the_shipped_network_and_its_jacobian(network, timestep):
    x, u = torch.randn(2, 1, 3, 64, 64, generator=seeded(timestep))
    t, x = torch.tensor([float(timestep)]), x.requires_grad_()
    v = network(x, t).sample
    (back,) = torch.autograd.grad(v, x, u)
    x, v = x.detach(), v.detach()
    (forward,) = run_graph("forward", x=x, t=t)
    again, jacobian = run_graph("vjp", x=x, t=t, u=u)
    for ours, theirs in ((forward, v), (again, v), (jacobian, back)):
        assert (ours - theirs).abs().max() < 1e-5


def test_an_engine_of_another_content_is_refused_and_the_book_does_without(tmp_path, monkeypatch):
    path = tmp_path / "cache" / Path(play.PACKAGE).name
    path.parent.mkdir()
    path.write_bytes(b"something else")
    said = play.assemble(tmp_path / "site", path.parent)
    assert "SHA-512" in said and not path.exists()
    assert "missing" in (tmp_path / "site" / "about.js").read_text()
    monkeypatch.setattr(play, "PACKAGE", "https://127.0.0.1:1/none.tgz")
    assert "could not be fetched" in play.assemble(tmp_path / "site", tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir())


ONE_TEXT = [  # scripts that a page joins before they run
    [ROOT / "book" / "play" / name for name in ("formulas.js", "worker.js")],
    [ROOT / "frugal" / "show" / name for name in ("moons.js", "moons_page.js")],
]


@pytest.mark.parametrize(("tool", "how"), [("oxfmt", ["--check"]), ("oxlint", ["--deny-warnings"])])
def test_the_scripts_have_one_format_and_no_lint(tool, how, tmp_path):
    files = [path for room in ("book", "frugal") for path in (ROOT / room).rglob("*.js")]
    files = [path for path in files if path.name != "stored.js"]  # numbers
    if tool == "oxlint":
        for i, joined in enumerate(ONE_TEXT):
            (tmp_path / f"{i}.js").write_text("".join(path.read_text() for path in joined))
            files = [path for path in files if path not in joined] + [tmp_path / f"{i}.js"]
    program, rules = Path(sys.executable).with_name(tool), ROOT / "book" / "play" / f"{tool}.json"
    done = subprocess.run([program, *how, "-c", rules, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_mask_survives_the_address(tmp_path):
    """And what packs no mask of the right size is none."""
    generator = np.random.default_rng(0)
    masks = [generator.integers(0, 2, 4096), np.ones(4096), np.zeros(4096)]
    answer = by_node("state.mjs", {"masks": [mask.astype(int).tolist() for mask in masks]}, tmp_path)
    assert np.array_equal(answer["back"], masks) and answer["none"] == [None, None, None]
