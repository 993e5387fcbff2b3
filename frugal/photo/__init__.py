"""From a photo file to restored files: sharp and degraded first, or damaged already; framed, restored, checked."""

import hashlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from .. import images
from ..base import checks
from ..base.checks import Refusal
from ..base.files import explained
from ..measurement import Measurement
from ..metrics import METRICS
from ..operators.two_functions import ImplicitOperator
from ..pipeline import RestorationOutput, RestorationPipeline
from ..runs.chains import generator
from ..runs.origin import made_from, origin
from ..runs.restore import scored
from ..samplers import METHODS
from ..settings import Complete, Settings
from . import align, damage
from .known import unknown

UNEXPLAINED = 5.0  # sigma; the truth is at 1, good restorations of a clean file lie between a half and 4


@dataclass(frozen=True)
class Job:
    """What is asked for every photo; ``task``, ``method``, ``sigma`` and ``settings`` as in ``restore.restore``.

    degrade  the photo is sharp and the task degrades it; else it is what was measured, and nobody knows x_0
    mask     a file, white where the photo is seen; kernel, a file, a blur in the prior's pixels
    crop     side of the centred square that is cut out
    align    cut out a face instead, and put it back into the photo: () finds it by ``align.frame``, (left, top, side)
             says where it is, in pixels
    samples  how many restorations are drawn
    rest     with ``align``: fill what the mask hides outside the face too, by ``align.biharmonic``
    """

    task: str
    method: str
    sigma: float = 0.01
    settings: Settings = Settings()
    degrade: bool = False
    mask: Path | None = None
    kernel: Path | None = None
    crop: int | None = None
    align: tuple[int, ...] | None = None
    samples: int = 1
    rest: bool = False


def restore_photo(
    pipe: RestorationPipeline, photo: Path, out: Path, job: Job, made_by: dict[str, object] | None = None
) -> list[str]:
    """Restore one photo into the PNG ``out`` and others beside it, see ``save``; returns what to say of it.

    Of one of several photos, ``made_by`` is ``origin`` of them all, and an ``out`` that was made from the same photo
    by the same job is left as it is.
    Raises Refusal for what cannot be used, before anything is written.
    """
    checks.folder_of("out", out)
    done = pipe.complete(job.settings, job.method, job.task)
    mask = damage.mask_of(job.task, photo, job.mask)
    if job.rest and (mask is None or job.align is None):
        raise Refusal(
            "rest: there is nothing to fill; it goes with --align and a mask or a transparent photo"
        )
    where = job.crop if job.align is None else framed(photo, mask, job.align)
    A = damage.operator(job.task, pipe.image_shape, mask, job.kernel, where)
    x0 = None
    if job.degrade:
        x0 = images.load(photo, pipe.size, where, pipe.image_shape[0])[None]
        name = images.digest(x0[0])
        m = A.measure(x0, job.sigma, generator(done.seed, name, "measurement"))
    else:
        m = damage.measured(photo, A, job.sigma, where)
        name = images.digest(A.A_adjoint(m.y)[0])
    about = identity(job, done, m, where, made_by or origin(pipe))
    warning = "" if job.degrade else damage.misfit(photo, m, where)
    if made_by and images.about(out) == about:
        return [f"{out}: is there already, from the same photo by the same settings"]
    noise = [generator(done.seed + i, name, "sampler") for i in range(job.samples)]
    start = time.perf_counter()
    found = pipe(m, job.method, done.steps, done.switch, done.zeta, done.lam, noise, num_samples=job.samples)
    seconds, passes = time.perf_counter() - start, found.nfe + found.backprops[0]
    cost = f"{METHODS[job.method].label}, {done.steps} steps, {passes} passes through the network"
    return [
        began(photo, pipe, job, m, where),
        *filter(None, [warning, unknown(pipe, found.images[:1])]),
        f"{out}: {cost}; {judged(found.images[:1].cpu(), m, x0)}; {seconds:.1f} s",
        *save(found, photo, out, where, mask, about, job),
    ]


def framed(photo: Path, mask: Image.Image | None, asked: tuple[int, ...]) -> tuple[int, int, int]:
    """(left, top, side) of the face: the one that was ``asked`` for, or, of (), the one that is found."""
    if not asked:
        return align.frame(photo, mask)
    if len(asked) != 3:
        raise Refusal(f"align: {len(asked)} numbers are not accepted; give LEFT TOP SIDE in pixels, or none")
    left, top, side = asked
    width, height = images.read(photo).size
    checks.whole("align: SIDE", side, 1, 2 * min(width, height))
    checks.whole("align: LEFT", left, 1 - side, width - 1)
    checks.whole("align: TOP", top, 1 - side, height - 1)
    return left, top, side


def identity(job: Job, done: Complete, m: Measurement, where: images.Crop, made_by: dict[str, object]) -> str:
    """All that decides the restored picture, as a text that is kept in its file."""
    y = hashlib.sha256(m.y.numpy().tobytes()).hexdigest()[:16]
    asked = {
        "task": job.task,
        "samples": job.samples,
        "degraded": job.degrade,
        "frame": where,
        "rest": job.rest,
    }
    return json.dumps({**asked, "measurement": y, **made_from(made_by, m.A, job.sigma, job.method, done)})


def began(photo: Path, pipe: RestorationPipeline, job: Job, m: Measurement, where: images.Crop) -> str:
    """What was done to the photo before it was restored."""
    cut = f"cut out at {where}" if isinstance(where, tuple) else "centre-cropped"
    if job.degrade:
        return f"{photo}: {cut} and resized to {pipe.size} x {pipe.size}, degraded by {job.task} with sigma {job.sigma}"
    resized = len(m.A.measurement_shape) == 3 and not isinstance(m.A, ImplicitOperator)
    side = m.A.measurement_shape[1] if resized else pipe.size
    share = m.y[0].numel() / math.prod(m.A.image_shape)
    seen = "" if resized else f", {share:.0%} of it seen"
    return f"{photo}: {cut} and resized to {side} x {side}{seen}, taken as measured by {job.task} with sigma {job.sigma}"


def judged(x: torch.Tensor, m: Measurement, x0: torch.Tensor | None) -> str:
    """Quality where x0 is known; else how far the restoration explains the measurement."""
    if x0 is not None:
        known = {name: score for name, (score,) in scored(x, x0).items() if score is not None}
        return ", ".join(f"{METRICS[name].heading} {score:.3f}" for name, score in known.items())
    (left,) = damage.residual(m, x)
    said = f"differs from the measurement by {left:.2f} sigma"
    if left > UNEXPLAINED:
        said += (
            ", more than noise explains: a larger --sigma, or another mask, kernel or frame, may fit better"
        )
    return said


def save(
    found: RestorationOutput,
    photo: Path,
    out: Path,
    where: images.Crop,
    mask: Image.Image | None,
    about: str,
    job: Job,
) -> list[str]:
    """Write ``out``, the first sample, last, so that it stands for the others too.

    Of several samples also NAME-2.png and so on, NAME-mean.png and NAME-spread.png, whose white is the largest
    spread. With ``align``, ``out`` is the whole photo, and NAME-face.png the restored square.
    """
    beside = lambda what: out.with_name(f"{out.stem}-{what}.png")
    said, (draws,) = [], found.samples
    for i, x in enumerate(draws[1:], 2):
        images.save(x, beside(i))
    if len(draws) > 1:
        spread = found.spread[0].mean(0, keepdim=True)
        most = spread.max().item()
        images.save(found.mean[0], beside("mean"))
        images.save(2 * spread / max(most, 1e-9) - 1, beside("spread"))
        said.append(
            f"{beside(2)} and so on: {len(draws)} samples in all; {beside('mean')}: their mean; "
            f"{beside('spread')}: their spread, the standard deviation, white for {most:.2f} in [-1, 1] units"
        )
    if isinstance(where, tuple):
        images.save(draws[0], beside("face"))
        said.append(f"{out}: the whole photo with the restored face in it; {beside('face')}: the face alone")
        whole, outside = align.put_back(photo, draws[0].cpu(), where, mask, job.rest)
        if outside:
            what = "are filled from around them" if job.rest else "stay as they were; --rest fills them"
            said.append(f"{outside} hidden pixels outside the face's frame {what}")
        images.write(whole, out, about)
    else:
        images.save(draws[0], out, about)
    return said


def told_apart(paths: list[Path], out: Path, job: Job) -> None:
    """Refusal where what is written for a photo, see ``save``, would take the place of another's, or of a photo."""
    beside = [*range(2, job.samples + 1), *["mean", "spread"] * (job.samples > 1)]
    beside += ["face"] * (job.align is not None)
    of: dict[str, Path] = {}
    for path in paths:
        for name in (path.stem, *(f"{path.stem}-{what}" for what in beside)):
            if (other := of.setdefault(name, path)) != path:
                raise Refusal(f"photo: {other} and {path} would both be {name}.png in {out}; rename one")
    if out.exists() and out.samefile(paths[0].parent):
        raise Refusal(f"out: {out} is the folder of the photos; give another")


def restore_all(pipe: RestorationPipeline, photo: Path, out: Path, job: Job) -> int:
    """Restore a photo, or every photo of a folder into the folder ``out``; prints what was done.

    A photo of a folder that cannot be used is named and left out, and one that is restored already is left as
    it is. Returns how many were left out.
    """
    if not photo.is_dir():
        print("\n".join(restore_photo(pipe, photo, out, job)))
        return 0
    if out.exists() and not out.is_dir():
        raise Refusal(f"out: {out} is not a folder; for a folder of photos give one")
    paths, made_by, unusable = images.find(photo), origin(pipe), 0
    told_apart(paths, out, job)
    if not out.exists():
        checks.folder_of("out", out)
        with explained(out):
            out.mkdir(exist_ok=True)
    for path in paths:
        try:
            print("\n".join(restore_photo(pipe, path, out / f"{path.stem}.png", job, made_by)))
        except Refusal as refusal:
            print(f"{path}: left out; {refusal}")
            unusable += 1
    return unusable
