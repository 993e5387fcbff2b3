"""The published Table 1 against choices that the poster leaves open, as named variants.

The choices come from a public starter kit (page 13): DPS with a short step, and a DMPS step scaled by one
level of the 1,000-level schedule, not by the respaced chain. ``length`` multiplies that short step; 0 leaves
the measurement out. Two pairs (zeta, length) are found on faces of their own, and are variants like the
others: the one nearest to the three published pSNRs, "levels", and the one nearest to the two differences
between them, "gaps".
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from frugal import images
from frugal.guidance import dmps_score
from frugal.measurement import Measurement
from frugal.metrics import psnr
from frugal.samplers.walk import Noise, Step, Stepped

from .behaviour import Numbers, of, problem
from .engine import Job, Pictures, Restored, Run, means, rows
from .faces import SIGMA, Faces, faces_of

TASK, STEPS, SWITCH = "sr4", 100, 50  # the poster's setting; sr4 measures as many pixels as its sr16
PUBLISHED = {"dps": 19.37, "dmps": 15.63, "hybrid": 19.97}  # pSNR of its Table 1, dB
KIT, WEAK = 2.0, 0.8  # zeta of the kit, and one that an earlier trial with other faces chose
ZETAS = (0.4, 0.48, 0.57, 0.8, 0.95, 1.13)
LENGTHS = (1.0, 0.71, 0.59, 0.5, 0.42)
THRESHOLD = 20.0  # dB
MISFITS = {"levels": ("dps", "dmps", "hybrid"), "gaps": ("dmps", "hybrid")}  # what each is fitted to


def runs(job: Job) -> Iterator[Run]:
    """Every set; the pairs are fitted when the first picture is met."""

    def of_some(some: Pictures) -> list[dict]:
        fitted = job.once(["fit"], lambda: fit(job, job.pictures("fit")))
        return rows(some, variants(faces_of(job, some, TASK, STEPS, SIGMA), fitted["chosen"]))

    for folder in job.args.images:
        yield Run({"set": folder.name}, job.read(folder, job.args.limit), of_some)


def short(faces: Faces, length: float) -> Step:
    """DMPS with Eq. 5 at x_k, the next level's alpha_bar, and the factor length (1 - a) / sqrt(a).

    a is the alpha of one of the 1,000 levels. The right factor is beta_k / sqrt(alpha_k) of the respaced chain.
    """
    schedule, denoise = faces.schedule, faces.denoise

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        a = float(faces.pipe.scheduler.alphas[int(schedule.timestep[k] or 0)])
        x0_hat, score = denoise(x_k, k), dmps_score(x_k, m, schedule.alpha_bar[k - 1])
        return Stepped(
            schedule.ancestral(k, x_k, x0_hat, noise()) + length * (1 - a) / a**0.5 * score, x0_hat
        )

    return step


def short_step() -> Numbers:
    """What the short DMPS does, see ``behaviour``."""
    pipe, x0 = problem()
    return {TASK: of((faces := Faces.of(pipe, x0, TASK, 3, 0, SIGMA)).end(short(faces, 0.5)))}


def fit(job: Job, named: Pictures) -> dict[str, Any]:
    """Mean scores for every (zeta, length), and the pairs nearest to ``PUBLISHED``: its levels, and its gaps."""
    faces, x0 = faces_of(job, named, TASK, STEPS, SIGMA), torch.stack(list(named.values()))
    mean, found = lambda x: means(x, x0), []
    alone = {c: mean(faces.end(short(faces, c))) for c in LENGTHS}
    for zeta in ZETAS:
        reached = faces.dps(zeta, (0, SWITCH))
        dps = mean(reached[0])
        for c in LENGTHS:
            hybrid = mean(faces.end(short(faces, c), reached[SWITCH], SWITCH))
            found.append({"zeta": zeta, "length": c, "dps": dps, "dmps": alone[c], "hybrid": hybrid})

    def misfit(row: Mapping[str, Any], kind: str) -> float:
        """Root mean square, in dB, of what ``kind`` says is fitted."""
        off = {m: row[m]["psnr"] - PUBLISHED[m] for m in PUBLISHED}
        off = [off[m] - off["dps"] * (kind == "gaps") for m in MISFITS[kind]]
        return (sum(d**2 for d in off) / len(off)) ** 0.5

    best = {kind: min(found, key=lambda row: misfit(row, kind)) for kind in MISFITS}
    chosen = {
        kind: {"zeta": row["zeta"], "length": row["length"], "misfit": misfit(row, kind)}
        for kind, row in best.items()
    }
    return {"pictures": [images.digest(x) for x in x0], "rows": found, "chosen": chosen}


def variants(faces: Faces, fitted: Mapping[str, Mapping[str, float]]) -> Restored:
    """{variant: restorations (B, C, H, W), their settings}."""
    own = {k: faces.pipe.step_sizes.of(TASK, k, STEPS) for k in (0, SWITCH, STEPS)}
    lengths = {"short": 1.0, **{kind: fit["length"] for kind, fit in fitted.items()}}
    done = {"dmps": (faces.dmps(own[STEPS]["lam"]), {"lam": own[STEPS]["lam"]})}
    done |= {f"dmps {name}": (faces.end(short(faces, c)), {"length": c}) for name, c in lengths.items()}

    def from_path(name: str, zeta: float, x: torch.Tensor, k: object = SWITCH, **more: object) -> None:
        done[name] = (x, {"zeta": zeta, "switch": k, **more})

    zeta, lam = own[SWITCH]["zeta"], own[SWITCH]["lam"]
    steps = [("kit", KIT, 1.0), ("weak", WEAK, 1.0)]
    steps += [(kind, of["zeta"], of["length"]) for kind, of in fitted.items()]
    paths = {z: faces.dps(z, range(STEPS + 1)) for z in {own[0]["zeta"], zeta, *(z for _, z, _ in steps)}}
    from_path("dps", own[0]["zeta"], paths[own[0]["zeta"]][0], 0)
    from_path("hybrid", zeta, faces.dmps(lam, paths[zeta][SWITCH], SWITCH), lam=lam)
    for name, zeta, c in steps:
        from_path(f"dps {name}", zeta, paths[zeta][0], 0)
        from_path(f"hybrid {name}", zeta, faces.end(short(faces, c), paths[zeta][SWITCH], SWITCH), length=c)
    x, ks = paths[WEAK], still(paths[WEAK])
    from_path("weak, then nothing", WEAK, faces.end(short(faces, 0), x[SWITCH], SWITCH), length=0.0)
    from_path("weak, then right dmps", WEAK, faces.dmps(1.0, x[SWITCH], SWITCH), lam=1.0)
    late = [faces.end(short(faces, 1), x[k][i : i + 1], k, slice(i, i + 1)) for i, k in enumerate(ks)]
    from_path("weak, k from iterates", WEAK, torch.cat(late), ks, length=1.0)
    return done


def still(path: Mapping[int, torch.Tensor]) -> list[int]:
    """Each picture's first k, from above, at which x_k and x_{k-1} agree to ``THRESHOLD``; 0 where none do."""
    agree = torch.stack([psnr(path[k], path[k - 1]) >= THRESHOLD for k in range(STEPS, 0, -1)])
    return torch.where(agree.any(0), STEPS - 1 - agree.int().argmax(0), 0).tolist()
