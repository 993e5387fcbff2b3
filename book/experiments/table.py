"""Every experiment of the book. To add one: what it runs, in a module of its own, and a line here."""

from . import (
    bench,
    conditions,
    fidelity,
    frontier,
    prior,
    published,
    rule,
    samples,
    search,
    seeds,
    spectrum,
    switches,
    tuning,
)
from .behaviour import collapses, drawing, every_method, metrics, poster, schedule, step_sizes, training
from .engine import Experiment
from .faces import SIGMA
from .variants import every_variant

UNUSED, UNSEEN = "folder of faces that no table uses", "folder of faces that the tuning did not see"
INTO = "the prior's folder, whose step sizes file gets the numbers"
TASKS = ["sr4", "sr16", "inpaint-box"]
BY_POSTER = (poster, step_sizes, metrics)
BY_ALL = (every_method, step_sizes, metrics, schedule)
TUNED, ALL_SIZES = ("tuned",), ("tuned", "errors", "spectrum")

EXPERIMENTS = {
    "bench": Experiment(
        "What restorations cost on one machine: methods, batches, pixels, steps, precision, memory.",
        {"task": bench.TASK, "sigma": bench.SIGMA, "repeats": bench.REPEATS},
        then=bench.then,
        options={"batches": [1, 4, 10], "steps": 4, "seed": 0},
        history=bench.HISTORY,
    ),
    "conditions": Experiment(
        "The hybrid against DPS under other conditions: tasks, numbers of steps, noise.",
        {"shares": conditions.SHARES, "factors": conditions.FACTORS, "lams": conditions.LAMS}
        | {"centres": tuning.CENTRES, "other_centre": tuning.CENTRE, "other_lam": conditions.LAM},
        BY_POSTER,
        conditions.runs,
        folders={"tuning": "folder of faces that choose zeta", "images": "folder of faces that judge"},
        options={"tuning_limit": 6, "limit": 12, "first": len(conditions.CONDITIONS), "seed": 0},
        grows=("first", "limit"),
        chooses="tuning",
    ),
    "fidelity": Experiment(
        "What every difference between the papers, their code and this code does to a restoration.",
        {"sigma": SIGMA},
        (*BY_POSTER, every_variant),
        fidelity.runs,
        options={"faces": 8, "steps": 100, "seed": 0},
        grows=("faces",),
        sizes=TUNED,
    ),
    "frontier": Experiment(
        "Quality against passes through the network: every method, at the same budgets.",
        {"many": frontier.MANY, "conditions": frontier.CONDITIONS, "further": frontier.FURTHER}
        | {"chosen": frontier.CHOSEN},
        BY_ALL,
        frontier.runs,
        folders={"images": UNSEEN},
        options={"limit": 8, "tasks": TASKS, "seed": 0, "batch": 20},
        grows=("limit", "tasks", "many", "conditions", "further"),
        sizes=ALL_SIZES,
        fast=True,
    ),
    "prior": Experiment(
        "What a prior has learned: its error by noise level, how near its samples are to training.",
        {"samples": prior.SAMPLES, "seed": 0},
        (schedule, training, drawing),
        then=prior.then,
        folders={
            "images+": "folders or .npy files that the prior learned from",
            "val+": "pictures of others",
        },
        options={"crop": None},
        alone=True,
    ),
    "published": Experiment(
        "The published Table 1 against choices that the poster leaves open, as named variants.",
        {"sigma": SIGMA, "task": published.TASK, "steps": published.STEPS, "switch": published.SWITCH}
        | {"published": published.PUBLISHED, "kit": published.KIT, "weak": published.WEAK}
        | {"zetas": published.ZETAS, "lengths": published.LENGTHS, "threshold": published.THRESHOLD},
        (*BY_POSTER, published.short_step),
        published.runs,
        folders={"images+": "folders of 64-pixel faces; each is a set", "fit": UNUSED},
        options={"fit_limit": 10, "limit": 20, "seed": 0, "batch": 20},
        grows=("images", "limit"),
        sizes=TUNED,
    ),
    "rule": Experiment(
        "The 20 dB rule as a method: the hybrid that switches where its guesses agree, read in two ways.",
        {"sigma": SIGMA, "steps": rule.STEPS},
        (*BY_POSTER, collapses),
        rule.runs,
        folders={"images": UNSEEN},
        options={"limit": 20, "tasks": TASKS, "seed": 0, "batch": 20},
        sizes=TUNED,
    ),
    "samples": Experiment(
        "What the prior draws at the stations of its training, the same noises for each.",
        {"faces": samples.FACES, "seed": samples.SEED},
        (drawing,),
        then=samples.then,
        options={"pictures": None},
        alone=True,
    ),
    "search": Experiment(
        "Which settings suit the methods of page 14: one for all tasks, chosen at 20 passes.",
        {"sigma": SIGMA, "passes": search.PASSES, "grid": [f"{s.method}: {s.name}" for s in search.SETTINGS]},
        BY_ALL,
        search.runs,
        lambda job: {"chosen": search.chosen(job.content["rows"])},
        folders={"images": UNUSED},
        options={"limit": 10, "tasks": TASKS, "seed": 0},
        grows=("tasks", "grid"),
        chooses="images",
        sizes=ALL_SIZES,
        fast=True,
    ),
    "seeds": Experiment(
        "The poster's methods on more pictures, with several seeds; the spread of their restorations.",
        {"sigma": SIGMA, "steps": seeds.STEPS, "switch": seeds.SWITCH}
        | {"tasks": [seeds.TABLE1, seeds.STRANGE, seeds.SPREAD]},
        BY_POSTER,
        seeds.runs,
        folders={"celebahq": "folder of 64-pixel faces of CelebA-HQ", "images": UNSEEN},
        options={"limit": 40, "seeds": 3, "faces": 4, "draws": 6},
        grows=("limit", "seeds", "faces", "tasks"),
        sizes=TUNED,
    ),
    "spectrum": Experiment(
        "What a prior's guess leaves open, by noise level, colour and frequency.",
        {"levels": spectrum.LEVELS, "draws": spectrum.DRAWS, "rings": spectrum.SIZES},
        (schedule, spectrum.by_wave),
        then=spectrum.then,
        folders={"images": UNUSED, "into?": INTO},
        options={"seed": 0},
        chooses="images",
    ),
    "switches": Experiment(
        "The hybrid against DPS at every switch k: the same zeta, each its own, and equal cost.",
        {"sigma": SIGMA, "switches": switches.SWITCHES},
        BY_POSTER,
        switches.runs,
        folders={"images": UNSEEN},
        options={"crop": None, "limit": None, "tasks": TASKS, "steps": 100, "seed": 0, "batch": 20},
        sizes=TUNED,
    ),
    "tuning": Experiment(
        "The step sizes zeta and lam for each task and each switch k, chosen by LPIPS.",
        {"sigma": SIGMA, "tie": tuning.TIE, "zetas": tuning.ZETAS, "lams": tuning.LAMS}
        | {"centres": tuning.CENTRES, "other_centre": tuning.CENTRE},
        BY_POSTER,
        tuning.runs,
        tuning.choice,
        folders={"images": UNUSED, "into?": INTO},
        options={"crop": None, "limit": None, "tasks": TASKS, "switches": list(tuning.SWITCHES)}
        | {"steps": 100, "seed": 0, "batch": 20},
        grows=("tasks",),
        chooses="images",
        alone=True,
    ),
}
