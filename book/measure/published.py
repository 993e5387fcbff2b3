"""The published Table 1 against choices that the poster leaves open, as named variants.

The choices come from a public starter kit (page 13): DPS with a short step, and a DMPS step scaled by one
level of the 1,000-level schedule, not by the respaced chain. ``length`` multiplies that short step; 0 leaves
the measurement out. Two pairs (zeta, length) are found on faces of their own, ``--fit``, and are variants like the
others: the one nearest to the three published pSNRs, "levels", and the one nearest to the two differences
between them, "gaps".
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import provenance
from frugal.base.devices import choose
from frugal.guidance import dmps_score
from frugal.metrics import psnr, quality
from frugal.show.page import rate

from . import record
from .tuning import SIGMA, Walk

TASK, STEPS, SWITCH = "sr4", 100, 50  # the poster's setting; sr4 measures as many pixels as its sr16
PUBLISHED = {"dps": 19.37, "dmps": 15.63, "hybrid": 19.97}  # pSNR of its Table 1, dB
KIT, WEAK = 2.0, 0.8  # zeta of the kit, and one that an earlier trial with other faces chose
ZETAS = (0.4, 0.48, 0.57, 0.8, 0.95, 1.13)
LENGTHS = (1.0, 0.71, 0.59, 0.5, 0.42)
THRESHOLD = 20.0  # dB
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True

Variants = dict[str, tuple[torch.Tensor, dict[str, object]]]  # name: restorations, their settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, nargs="+", required=True, help="folders of 64-pixel faces; each is a set")
    add("--fit", type=Path, required=True, help="folder of other faces, for the fit")
    add("--fit-limit", type=int, default=10, help="how many of them (default %(default)s)")
    add("--limit", type=int, default=20, help="faces of each set (default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")
    add("--batch", type=int, default=20, help="pictures in a call of the network (default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {
        "sigma": SIGMA,
        "published": PUBLISHED,
        "module": record.digest(Path(__file__)),
        "step_sizes": RestorationPipeline.from_pretrained().step_sizes.tuned[TASK],
    }


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "fit": {"rows", "chosen"}, "rows": a row for each set, face and variant}."""
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    content = {"meta": meta, "fit": {}, "rows": []}
    content |= record.kept(args.out, meta, apart_from=["images", "limit"]) | {"meta": meta}
    if not content["fit"]:
        content["fit"] = fit(pipe, pictures(pipe, args.fit, args.fit_limit), args.seed)
        record.write(record.part(args.out), content)
    for folder in args.images:
        named = pictures(pipe, folder, args.limit)
        done = {row["picture"] for row in content["rows"] if row["set"] == folder.name}
        todo = [name for name, x in named.items() if images.digest(x) not in done]
        for batch in tqdm(list(torch.arange(len(todo)).split(args.batch)), desc=folder.name):
            some = {todo[i]: named[todo[i]] for i in batch}
            for variant, (restored, own) in variants(pipe, some, args.seed, content["fit"]["chosen"]).items():
                content["rows"] += [
                    {"set": folder.name, **row, **{key: picked(value, i) for key, value in own.items()}}
                    for i, row in enumerate(rate(some, variant, restored))
                ]
            record.write(record.part(args.out), content)
    return content


def pictures(pipe: RestorationPipeline, folder: Path, limit: int) -> dict[str, torch.Tensor]:
    """{name: (C, H, W)} of the first faces of a folder."""
    return {path.name: images.load(path, pipe.size) for path in images.find(folder)[:limit]}


def picked(value: object, i: int) -> object:
    """The setting of picture i, where each has its own."""
    return value[i] if isinstance(value, list) else value


def walk_of(pipe: RestorationPipeline, named: dict[str, torch.Tensor], seed: int) -> Walk:
    """The samplers over these faces."""
    return Walk.of(pipe, torch.stack(list(named.values())).to(pipe.device), TASK, STEPS, seed)


def fit(pipe: RestorationPipeline, named: dict[str, torch.Tensor], seed: int) -> dict:
    """Mean scores for every (zeta, length), and the pairs nearest to ``PUBLISHED``: its levels, and its gaps."""
    walk, x0 = walk_of(pipe, named, seed), torch.stack(list(named.values()))
    every = torch.arange(len(x0), device=pipe.device)
    mean = lambda x: {key: sum(values) / len(values) for key, values in quality(x.cpu(), x0).items()}
    alone = {c: mean(short_dmps(walk, walk.z[0], STEPS, c)) for c in LENGTHS}
    rows = []
    for zeta in tqdm(ZETAS, desc="fit"):
        reached = walk.dps(every, torch.full((len(x0),), zeta, device=pipe.device), [SWITCH])
        dps = mean(reached[0])
        for c in LENGTHS:
            scores = {
                "dps": dps,
                "dmps": alone[c],
                "hybrid": mean(short_dmps(walk, reached[SWITCH], SWITCH, c)),
            }
            rows.append({"zeta": zeta, "length": c, **scores})
    misfits = {"levels": ("dps", "dmps", "hybrid"), "gaps": ("dmps", "hybrid")}

    def misfit(row: dict, kind: str) -> float:
        """Root mean square, in dB, of what ``kind`` says is fitted."""
        off = {m: row[m]["psnr"] - PUBLISHED[m] for m in PUBLISHED}
        off = {m: off[m] - off["dps"] * (kind == "gaps") for m in misfits[kind]}
        return (sum(d**2 for d in off.values()) / len(off)) ** 0.5

    best = {kind: min(rows, key=lambda row: misfit(row, kind)) for kind in misfits}
    return {
        "pictures": [images.digest(x) for x in x0],
        "rows": rows,
        "chosen": {
            kind: {"zeta": row["zeta"], "length": row["length"], "misfit": misfit(row, kind)}
            for kind, row in best.items()
        },
    }


def variants(pipe: RestorationPipeline, named: dict[str, torch.Tensor], seed: int, fitted: dict) -> Variants:
    """{variant: (restorations (B, C, H, W), settings)} of faces {name: (C, H, W)}."""
    walk, every = walk_of(pipe, named, seed), torch.arange(len(named), device=pipe.device)
    full = lambda value: torch.full((len(named),), value, device=pipe.device)
    own = {k: pipe.step_sizes.of(TASK, k, STEPS) for k in (0, SWITCH, STEPS)}
    right = lambda x, k, lam: walk.dmps(x, k, every, full(lam))
    done: Variants = {
        "dmps": (right(walk.z[0], STEPS, own[STEPS]["lam"]), {"lam": own[STEPS]["lam"]}),
        "dmps short": (short_dmps(walk, walk.z[0], STEPS, 1), {"length": 1.0}),
        **{
            f"dmps {kind}": (short_dmps(walk, walk.z[0], STEPS, of["length"]), {"length": of["length"]})
            for kind, of in fitted.items()
        },
    }

    def from_path(name: str, zeta: float, x: torch.Tensor, k: object = SWITCH, **more: object) -> None:
        done[name] = (x, {"zeta": zeta, "switch": k, **more})

    paths = {}
    for zeta in {own[0]["zeta"], own[SWITCH]["zeta"], KIT, WEAK, *(of["zeta"] for of in fitted.values())}:
        paths[zeta] = walk.dps(every, full(zeta), range(STEPS + 1))
    from_path("dps", own[0]["zeta"], paths[own[0]["zeta"]][0], 0)
    zeta, lam = own[SWITCH]["zeta"], own[SWITCH]["lam"]
    from_path("hybrid", zeta, right(paths[zeta][SWITCH], SWITCH, lam), lam=lam)
    steps = [("kit", KIT, 1.0), ("weak", WEAK, 1.0)]
    steps += [(kind, of["zeta"], of["length"]) for kind, of in fitted.items()]
    for name, zeta, c in steps:
        from_path(f"dps {name}", zeta, paths[zeta][0], 0)
        x = short_dmps(walk, paths[zeta][SWITCH], SWITCH, c)
        from_path(f"hybrid {name}", zeta, x, length=c)
    x = paths[WEAK]
    from_path("weak, then nothing", WEAK, short_dmps(walk, x[SWITCH], SWITCH, 0), length=0.0)
    from_path("weak, then right dmps", WEAK, right(x[SWITCH], SWITCH, 1.0), lam=1.0)
    ks = still(x)
    late = [short_dmps(walk, x[k][i : i + 1], k, 1, every[i : i + 1]) for i, k in enumerate(ks)]
    from_path("weak, k from iterates", WEAK, torch.cat(late), ks, length=1.0)
    return done


def short_dmps(
    walk: Walk, x: torch.Tensor, switch: int, length: float, face: torch.Tensor | None = None
) -> torch.Tensor:
    """x_0 from x_k, k = switch, by Eq. 5 at x_k with the next level's alpha_bar, times length (1 - a) / sqrt(a).

    a is the alpha of one of the 1,000 levels. The right factor is beta_k / sqrt(alpha_k) of the respaced chain.
    """
    face = torch.arange(len(x), device=x.device) if face is None else face
    schedule, m, denoise = walk.schedule, walk.m[face], walk.pipe.denoiser(walk.schedule)
    with torch.no_grad():
        for k in range(switch, 0, -1):
            a = float(walk.pipe.scheduler.alphas[int(schedule.timestep[k])])
            step = length * (1 - a) / a**0.5
            score = dmps_score(x, m, schedule.alpha_bar[k - 1])
            x = schedule.ancestral(k, x, denoise(x, k), walk.noise(k, face)) + step * score
    return x


def still(path: dict[int, torch.Tensor]) -> list[int]:
    """Each picture's first k, from above, at which x_k and x_{k-1} agree to ``THRESHOLD``; 0 where none do."""
    agree = torch.stack([psnr(path[k], path[k - 1]) >= THRESHOLD for k in range(STEPS, 0, -1)])
    first = agree.int().argmax(0)
    return torch.where(agree.any(0), STEPS - 1 - first, 0).tolist()
