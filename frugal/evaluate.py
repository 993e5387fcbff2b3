"""Measure methods on pictures: one row for each picture and method, paired noise, resumable files."""

import json
import math
import os
import platform
import subprocess
import time
from pathlib import Path

import diffusers
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from scipy import stats
from tqdm import tqdm

from . import __version__, images, metrics, operators
from .operators import check_at_least_zero
from .pipeline import HYPERPARAMETERS, METHODS, RestorationPipeline, default_zeta
from .schedule import Schedule

HEADINGS = {"psnr": "pSNR (dB)", "lpips": "LPIPS"}


def generators(seed, index):
    """Two CPU generators for picture ``index``: one for its measurement noise, one for the sampler.

    Every method sees the same measurement and the same sampler noise, so differences are paired.
    """
    return [torch.Generator().manual_seed(seed * 1_000_003 + 2 * index + j) for j in (0, 1)]


def measure(x0, indices, task, sigma, seed=0):
    """The operator and the noisy measurements (B, *measurement_shape) of pictures x0 (B, C, H, W)."""
    A = operators.make(task, tuple(x0.shape[1:]))
    return A, A.measure(x0, sigma, generator=[generators(seed, i)[0] for i in indices])


def restore(pipe, x0, indices, task, method, *, sigma, steps, switch=None, zeta=None, lam=None, seed=0):
    """Measure and restore pictures x0 (B, C, H, W), numbered ``indices``, together.

    Returns a row for each picture, without its name, and the restored pictures (B, C, H, W).
    ``psnr`` in dB; ``lpips``, None where its weights are not to be had; ``seconds``, wall time of the
    batch over its B pictures; ``nfe``, network calls; ``backprops``, those that were back-propagated.
    """
    A, y = measure(x0, indices, task, sigma, seed)
    noise = [generators(seed, i)[1] for i in indices]
    start = time.perf_counter()
    out = pipe(y, A, sigma, method, steps, switch, zeta=zeta, lam=lam, generator=noise)
    restored = out.images.cpu()
    seconds = (time.perf_counter() - start) / len(x0)
    quality = zip(metrics.psnr(restored, x0).tolist(), lpips_or_none(restored, x0), out.backprops, out.switch)
    shared = {"task": task, "method": method, "seconds": seconds, "nfe": out.nfe}
    rows = [
        {**shared, "psnr": psnr, "lpips": lpips, "backprops": backprops, "switch": k}
        for psnr, lpips, backprops, k in quality
    ]
    return rows, restored


def compare(pipe, named, task, methods=METHODS, batch_size=10, **settings):
    """Restore every picture of ``named``, {name: (C, H, W)}, with every method; ``settings`` as in ``restore``.

    Returns the rows, with "image", and {"measured": previews, method: restored}, each (B, C, H, W).
    """
    names, x0 = list(named), torch.stack(list(named.values()))
    A, y = measure(x0, range(len(x0)), task, settings["sigma"], settings.get("seed", 0))
    rows, restored = [], {"measured": A.preview(y).expand_as(x0)}
    warm_up(pipe, task, x0.shape[1:])
    for method in methods:
        pictures = []
        for batch in torch.arange(len(x0)).split(batch_size):
            some, out = restore(pipe, x0[batch], batch.tolist(), task, method, **settings)
            rows += [{"image": names[i], **row} for i, row in zip(batch.tolist(), some)]
            pictures.append(out)
        restored[method] = torch.cat(pictures)
    return rows, restored


def warm_up(pipe, task, shape):
    """One short restoration of each kind, so that the first picture's time holds no set-up."""
    for method in METHODS:
        restore(pipe, torch.zeros(1, *shape), [0], task, method, sigma=0.0, steps=2, switch=1)


def lpips_or_none(x, y):
    """LPIPS of each pair, a list of numbers, or of None where its trained weights cannot be had."""
    try:
        return metrics.lpips(x.clamp(-1, 1), y).tolist()
    except metrics.LPIPSUnavailable:
        return [None] * len(x)


def evaluate(
    folder, task, methods, out, *, limit=None, prior="faces64", crop=None, batch_size=10, **sampling
):
    """Measure ``methods`` on the pictures of ``folder`` and write RESULTS.json at ``out``.

    ``sampling``: steps, switch, sigma, seed, zeta, lam as in ``sampling_settings``. The file holds
    {"meta": {...}, "rows": [...]}, rows as in ``restore`` plus "image". Rows already there, or left
    by an interrupted run with the same arguments, are kept and not computed again.
    Under ``accelerate launch`` each process takes its share of the pictures.
    Raises ValueError for bad arguments, before anything is written.
    """
    state, out = PartialState(), Path(out)
    pipe = RestorationPipeline.from_pretrained(prior).to(state.device)
    pipe.set_progress_bar_config(disable=True)
    size = pipe.unet.config.sample_size
    check_arguments(methods, limit=limit, batch_size=batch_size)
    check_folder(out)
    paths = images.find(folder)[:limit]
    sampling = sampling_settings(pipe, task, **sampling)
    settings = {
        **{"images": Path(folder).name, "crop": crop, "task": task, "batch_size": batch_size},
        **sampling,
        **{"prior": str(prior), "prior_digest": pipe.digest(), "device": device_name(state.device)},
    }
    partial = out.with_name(f"{out.name}.{state.process_index}.part")
    done = rows_so_far(out, settings)
    mine = list(enumerate(paths))[state.process_index :: state.num_processes]
    todo = {m: [(i, path) for i, path in mine if (path.name, m) not in done] for m in methods}
    bar = tqdm(total=sum(map(len, todo.values())), desc=task, disable=not state.is_main_process)
    if bar.total:
        warm_up(pipe, task, (pipe.unet.config.in_channels, size, size))
    for method, missing in todo.items():
        for batch in (missing[i : i + batch_size] for i in range(0, len(missing), batch_size)):
            x0 = torch.stack([images.load(path, size, crop) for _, path in batch])
            new, _ = restore(pipe, x0, [i for i, _ in batch], task, method, **sampling)
            done |= {(path.name, method): {"image": path.name, **row} for (_, path), row in zip(batch, new)}
            write_json(partial, {"meta": settings, "rows": list(done.values())})
            bar.update(len(batch))
    bar.close()
    state.wait_for_everyone()
    rows = {(r["image"], r["method"]): r for r in gather_object(list(done.values()))}
    if state.is_main_process:
        meta = {**settings, "limit": limit, "seconds_per_call": seconds_per_call(pipe, size), **provenance()}
        in_order = sorted(rows.values(), key=lambda r: (r["image"], METHODS.index(r["method"])))
        write_json(out, {"meta": meta, "rows": in_order})
        for file in parts(out):
            file.unlink()
    return out


def check_arguments(methods, **counts):
    """Raise ValueError for an unknown method and for counts below 1."""
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"methods: {method!r} is unknown; accepted are {', '.join(METHODS)}")
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"{name}: {value} is not accepted; give a whole number of at least 1")


def check_folder(out):
    """Raise ValueError, before hours are spent, unless the folder of a file to be written is there."""
    if not out.parent.is_dir():
        raise ValueError(f"out: the folder {out.parent} does not exist; make it or give another")


def sampling_settings(pipe, task, *, steps=100, switch=50, sigma=0.01, seed=0, zeta=None, lam=None):
    """The settings of ``restore`` with the defaults filled in.

    Raises ValueError for what the pipeline would refuse, before hours are spent and files written.
    """
    size, channels = pipe.unet.config.sample_size, pipe.unet.config.in_channels
    A = operators.make(task, (channels, size, size))
    t = Schedule.from_scheduler(pipe.scheduler, steps).t
    pipe.check_inputs(torch.zeros(1, *A.measurement_shape), A, sigma, "hybrid", t, switch, None)
    zeta = default_zeta(task, steps) if zeta is None else check_at_least_zero("zeta", zeta)
    lam = HYPERPARAMETERS["lam"] if lam is None else check_at_least_zero("lam", lam)
    return {"steps": steps, "switch": switch, "sigma": sigma, "seed": seed, "zeta": zeta, "lam": lam}


def parts(out):
    """The files in which the processes of a run keep their rows until all are done."""
    return sorted(out.parent.glob(f"{out.name}.*.part"))


def rows_so_far(out, settings):
    """{(image, method): row} of ``out`` and of the parts beside it."""
    files = [file for file in (out, *parts(out)) if file.exists()]
    return {(r["image"], r["method"]): r for file in files for r in read_rows(file, settings)}


def read_rows(file, settings):
    """Rows of a results file made with the same settings; ValueError if the settings differ."""
    try:
        content = json.loads(file.read_text())
        meta, rows = content["meta"], content["rows"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"out: {file} is there but is no results file; give another name") from None
    differing = [name for name, value in settings.items() if meta.get(name) != value]
    if differing:
        raise ValueError(
            f"out: {file} was made with another {', '.join(differing)}; give another name or delete it"
        )
    return rows


def write_json(path, content):
    """Write JSON whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, path)


def default_device():
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device):
    """Name of the GPU, or of the CPU with the number of threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def provenance():
    """What a reader needs to run the same code again: versions and the commit of this checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "commit": commit,
        "frugal": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }


@torch.no_grad()
def seconds_per_call(pipe, size, calls=10):
    """Median wall seconds of one bare network call at batch 1, the unit other times are compared with."""
    x = torch.zeros(1, pipe.unet.config.in_channels, size, size, device=pipe.device)
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        pipe.unet(x, 0).sample.cpu()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[calls // 2]


def values(rows, method, key):
    """The column ``key`` of one method, in the order of the pictures' names; a list of numbers."""
    return [r[key] for r in sorted(rows, key=lambda r: r["image"]) if r["method"] == method]


def interval(numbers):
    """Mean and its 95 % Student interval: (mean, low, high)."""
    mean = sum(numbers) / len(numbers)
    if len(set(numbers)) < 2:
        return mean, math.nan, math.nan  # no spread to judge by
    result = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    return mean, float(result.low), float(result.high)


def paired_interval(rows, method, reference, key):
    """Eq. 10a: mean of ``method`` minus ``reference`` over the same pictures, with its 95 % paired interval."""
    return interval([a - b for a, b in zip(values(rows, method, key), values(rows, reference, key))])


def verdict(triple, better):
    """ "better", "worse" or "undecided", from (mean, low, high) of a paired difference.

    ``better`` is the sign of an improvement: 1 for pSNR, -1 for LPIPS.
    """
    low, high = sorted(better * bound for bound in triple[1:])
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def table(rows):
    """A Markdown table: means of each method with 95 % intervals, then paired differences from DPS.

    ``seconds`` has no interval: the pictures of a batch share their time.
    """
    present = [m for m in METHODS if values(rows, m, "psnr")]
    quality = [key for key in ("psnr", "lpips") if None not in [r[key] for r in rows]]
    lines = [["", *(HEADINGS[key] for key in quality), "seconds"]]
    for m in present:
        seconds = f"{interval(values(rows, m, 'seconds'))[0]:.2f}"
        lines.append([m, *(with_interval(interval(values(rows, m, key))) for key in quality), seconds])
    for m in present if "dps" in present else []:
        if m != "dps":
            differences = [paired_interval(rows, m, "dps", key) for key in quality]
            lines.append([f"{m} - dps", *(with_interval(d, sign="+") for d in differences), ""])
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines
    )


def with_interval(triple, sign=""):
    """A mean and its interval as text, ``1.234 [1.200, 1.268]``."""
    return "{:{s}.3f} [{:{s}.3f}, {:{s}.3f}]".format(*triple, s=sign)
