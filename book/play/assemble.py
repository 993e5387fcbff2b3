"""What the playground loads, written beside its page: the engine, the prior and the constants, each as a script.

A page that is opened from a file may load scripts and nothing else, so binary files travel in them as text.
"""

import base64
import gzip
import hashlib
import json
import re
import tarfile
import urllib.request
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

from frugal import RestorationPipeline, images, prior
from frugal.base.files import whole
from frugal.prior.step_sizes import between, rings
from frugal.samplers import BEST, METHODS, POSTER, Method

HERE = Path(__file__).resolve().parent
PRIOR, WEIGHTS = "faces64", "diffusion_pytorch_model.safetensors"
VERSION = "1.30.0"  # of onnxruntime-web; from 1.25 on it starts from bytes that are given, without fetching
PACKAGE = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
# npm's own
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
BUNDLE, WASM = (f"package/dist/{name}" for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"))
STEPS = (10, 20, 50, 100)  # to choose from
PASSES = (10, 20, 40)  # of page 14's experiment: methods at equal cost
TASKS = {  # the page's, and the task whose step sizes it takes
    "inpaint": "inpaint-box",
    "sr4": "sr4",
    "sr16": "sr16",
    "colorize": "colorize",
    "deblur": "deblur",
}
FACES = 8
PAGES = "N, P, given, pinv"  # of the formulas, what the page itself computes


def assemble(folder: Path, cache: Path) -> str | None:
    """Write the playground's scripts into ``folder``; the engine's package is kept in ``cache``.

    Returns None, or the sentence that says why there is no engine; the page then shows it in the playground's place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        bundle, wasm = engine(cache)
    except (OSError, ValueError) as error:
        missing = (
            f"The engine, onnxruntime-web {VERSION}, could not be fetched when this book was built ({error})."
        )
        script(folder / "about.js", {"missing": missing})
        return missing
    pipe = RestorationPipeline.from_pretrained(PRIOR)
    constants = f"const CONSTANTS = {json.dumps(schedules(pipe))};\n"
    formulas = (HERE / "formulas.js").read_text()
    worker = "\n".join([bundle, constants, formulas, (HERE / "worker.js").read_text()])
    with whole(folder / "formulas.js") as partial:  # the page computes measurements with them
        size = f"const CONSTANTS = {{size: {pipe.size}}};"
        partial.write_text(
            f"window.frugalFormulas = (() => {{\n{size}\n{formulas}\nreturn {{{PAGES}}};\n}})();\n"
        )
    weights = (prior.locate(PRIOR) / "unet" / WEIGHTS).read_bytes()
    graphs = {name: packed((HERE / f"{name}.onnx").read_bytes()) for name in ("forward", "vjp")}
    script(folder / "engine.js", {"worker": worker, "engine": packed(wasm)})
    script(folder / "prior.js", {"weights": packed(weights), "place": WEIGHTS, **graphs})
    size = sum((folder / name).stat().st_size for name in ("engine.js", "prior.js"))
    methods = {name: told(METHODS[name], pipe) for name in (BEST, *POSTER)}
    about = {"megabytes": round(size / 1e6), "faces": faces(pipe.size), "steps": STEPS, "sizes": sizes(pipe)}
    about |= {"methods": methods, "best": BEST}
    script(folder / "about.js", about)
    (folder / "LICENSE-onnxruntime.txt").write_text(licence())
    return None


def script(path: Path, content: dict[str, object]) -> None:
    """A script that adds ``content`` to what the page holds for the playground."""
    text = f"window.frugalPlay = Object.assign(window.frugalPlay || {{}}, {json.dumps(content)});\n"
    with whole(path) as partial:
        partial.write_text(text)


def packed(content: bytes) -> str:
    """Bytes compressed by gzip, in base64."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def engine(cache: Path) -> tuple[str, bytes]:
    """(the engine as the text of a classic worker, its WebAssembly), of the pinned package.

    Raises OSError where it cannot be fetched, ValueError where it is not the package that it should be.
    """
    path = cache / Path(PACKAGE).name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        print(f"The playground's engine: fetching {PACKAGE} (33 MB, once)")
        with urllib.request.urlopen(PACKAGE, timeout=60) as answer, whole(path) as partial:
            partial.write_bytes(answer.read())
    content = path.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        path.unlink()
        raise ValueError("its SHA-512 is not the pinned one")
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        bundle, wasm = (archive.extractfile(name).read() for name in (BUNDLE, WASM))  # pyright: ignore
    return as_classic(bundle.decode()), wasm


def as_classic(module: str) -> str:
    """A module as the body of one function, for a page from a file may start no module worker.

    Raises ValueError for a bundle of another shape.
    """
    head, names, _ = re.split(r"export\{([^}]*)\};\s*(?://# sourceMappingURL=\S+\s*)?$", module, maxsplit=1)
    pairs = (name.split(" as ") for name in names.split(","))
    given = ",".join(
        f"{known}:{own}" for own, known in pairs if known in ("env", "InferenceSession", "Tensor")
    )
    body = head.replace("import.meta.url", "self.location.href")
    return f"self.engineReady = (async () => {{{body}\nreturn {{{given}}};\n}})();\n"


def schedules(pipe: RestorationPipeline) -> dict[str, object]:
    """What the formulas take from Python: the size of the pictures; by spacing of the steps and their number the
    schedules, and what the guess leaves open, Eqs. 14c and 14e, by k; and the ring of each wave."""
    found, asked_for = {}, lengths(pipe)
    for spacing, method in {"even": METHODS["dps"], BEST: METHODS[BEST]}.items():
        for steps in asked_for:
            schedule, sizes = method.schedule(pipe.scheduler, steps), pipe.step_sizes
            levels = (between(sizes.spectrum, s**2) for s in schedule.s[1:])
            found[f"{spacing} {steps}"] = {
                "timestep": schedule.timestep,
                "alpha_bar": schedule.alpha_bar,
                "rings": [None, *(level.tolist() for level in levels)],
                "r2": [0, *(sizes.left_open(s**2) for s in schedule.s[1:])],
                **method.numbers,
            }
    ring = "".join(f"{n:x}" for n in rings(pipe.size, pipe.size).flatten().tolist())
    return {"size": pipe.size, "schedules": found, "ring": ring}


def sizes(pipe: RestorationPipeline) -> dict[str, dict[int, list[list[float]]]]:
    """{task: {steps: [[switch from which on they hold, zeta, lam], ...]}}, the library's own."""
    found, asked_for = {}, lengths(pipe)
    for task, name in TASKS.items():
        found[task] = {}
        for steps in asked_for:
            rows = found[task][steps] = []
            for switch in range(steps + 1):
                own = pipe.step_sizes.of(name, switch, steps)
                both = [round(own[size], 4) for size in ("zeta", "lam")]
                if not rows or rows[-1][1:] != both:
                    rows.append([switch, *both])
    return found


def lengths(pipe: RestorationPipeline) -> set[int]:
    """The numbers of steps that the page may ask for."""
    return {*STEPS, *(METHODS[name].within(p, pipe.scheduler) for name in (BEST, *POSTER) for p in PASSES)}


def told(method: Method, pipe: RestorationPipeline) -> dict[str, object]:
    """A method's name and colour; whether it back-propagates, and hands over to one that does not; {passes: steps}."""
    handover = "switch" in method.parameters
    return {
        "label": method.label,
        "colour": method.colour,
        "gradient": method.gradient,
        "handover": handover,
        "within": {passes: method.within(passes, pipe.scheduler) for passes in PASSES},
    }


def faces(size: int) -> list[str]:
    """Shipped faces as addresses that hold them, of so many pixels or more; the page makes them smaller."""
    paths = images.find(images.SHIPPED / ("faces" if size <= images.SMALL else "faces_256"))[:FACES]
    return [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in paths]


def licence() -> str:
    """The engine's licence and notices, which its Python package carries and its browser package does not."""
    try:
        found = distribution("onnxruntime")
    except PackageNotFoundError:
        return f"onnxruntime-web {VERSION}, MIT licence, Copyright (c) Microsoft Corporation\n"
    named = ("LICENSE", "ThirdPartyNotices.txt")
    return "\n\n".join(
        Path(found.locate_file(f"onnxruntime/{name}")).read_text(errors="replace") for name in named
    )
