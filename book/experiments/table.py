"""Every experiment of the book. To add one: what it runs, in a module of its own, and a line here."""

from . import (
    behaviour,
    bench,
    conditions,
    domains,
    fidelity,
    frontier,
    lent,
    natural,
    offered,
    prior,
    published,
    rule,
    samples,
    scale,
    search,
    seeds,
    spectrum,
    switches,
    tuning,
)
from .experiment import Experiment
from .variants import every_variant

TASKS = ["sr4", "sr16", "inpaint-box"]
BY_POSTER, TUNED = (behaviour.poster, behaviour.step_sizes, behaviour.metrics), ("tuned",)
EVERY = behaviour.every_method, behaviour.step_sizes, behaviour.left_open
BY_ALL = (*EVERY, behaviour.metrics, behaviour.schedule)
ALL_SIZES = ("tuned", "errors", "spectrum")
UNUSED = {"images": "folder of faces that no table uses"}
UNSEEN = {"images": "folder of faces that the tuning did not see"}
INTO = {"into?": "the prior's folder, whose step sizes file gets the numbers"}

EXPERIMENTS = {
    "bench": Experiment(
        bench,
        "TASK SIGMA REPEATS",
        options={"batches": [1, 4, 10], "steps": 4, "seed": 0},
        history=bench.HISTORY,
    ),
    "conditions": Experiment(
        conditions,
        "SHARES FACTORS CENTRES CENTRE LAMS LAM",
        BY_POSTER,
        {"tuning": "folder of faces that choose zeta", "images": "folder of faces that judge"},
        {"tuning_limit": 6, "limit": 100, "first": len(conditions.CONDITIONS), "seed": 0},
        grows=("first", "limit"),
        chooses="tuning",
    ),
    "domains": Experiment(
        domains,
        "SIGMA SWITCHES HEIGHTS",
        (*BY_POSTER, behaviour.best, behaviour.left_open),
        {
            "handwriting": "folder of pictures of characters",
            "images": "folder of photographs that are no faces",
        },
        {"limit": 34, "seed": 0, "batch": 17},
        grows=("limit",),
        sizes=ALL_SIZES,
    ),
    "fidelity": Experiment(
        fidelity,
        "SIGMA",
        (*BY_POSTER, every_variant),
        options={"faces": 8, "steps": 100, "seed": 0},
        grows=("faces",),
        sizes=TUNED,
    ),
    "frontier": Experiment(
        frontier,
        "MANY CONDITIONS FURTHER UNSEEN CHOSEN",
        BY_ALL,
        UNSEEN,
        {"limit": 8, "tasks": TASKS, "seed": 0, "batch": 20},
        grows=("limit", "tasks", "many", "conditions", "further", "unseen"),
        sizes=ALL_SIZES,
        fast=True,
    ),
    "lent": Experiment(
        lent,
        "SIGMA PASSES SPACINGS RATES BETAS",
        BY_ALL,
        UNSEEN,
        {"limit": 6, "tasks": TASKS, "seed": 0, "batch": 10},
        sizes=ALL_SIZES,
    ),
    "natural": Experiment(
        natural,
        "SIGMA SWITCHES",
        (*BY_POSTER, behaviour.best, behaviour.left_open),
        {"images": "folder of photographs that are no faces", "faces": "folder of the faces of switches"},
        {"tasks": ["inpaint-box", "sr4"], "seed": 0, "batch": 13},
        grows=("tasks", "faces"),
        sizes=ALL_SIZES,
    ),
    "offered": Experiment(
        offered,
        "SIGMA TRIALS FEW AGAIN SPARED SPACE START",
        (*BY_POSTER, behaviour.left_open, behaviour.schedule, offered.from_the_start),
        UNUSED,
        {"passes": [20], "limit": 50, "tasks": TASKS, "seed": 0},
        grows=("tasks", "passes"),
        chooses="images",
        sizes=ALL_SIZES,
        fast=True,
    ),
    "prior": Experiment(
        prior,
        "SAMPLES SEED",
        (behaviour.schedule, behaviour.training, behaviour.drawing),
        {"images+": "folders or .npy files that the prior learned from", "val+": "pictures of others"},
        {"crop": None},
        alone=True,
    ),
    "published": Experiment(
        published,
        "SIGMA TASK STEPS SWITCH PUBLISHED KIT WEAK ZETAS LENGTHS THRESHOLD",
        (*BY_POSTER, published.short_step),
        {"images+": "folders of 64-pixel faces; each is a set", "fit": "folder of other faces, for the fit"},
        {"fit_limit": 10, "limit": 100, "seed": 0, "batch": 20},
        grows=("images", "limit"),
        sizes=TUNED,
    ),
    "rule": Experiment(
        rule,
        "SIGMA STEPS",
        (*BY_POSTER, behaviour.collapses),
        UNSEEN,
        {"limit": 100, "tasks": TASKS, "seed": 0, "batch": 20},
        sizes=TUNED,
    ),
    "samples": Experiment(
        samples, "FACES SEED", (behaviour.drawing,), options={"pictures": None}, alone=True
    ),
    "scale": Experiment(
        scale,
        "PIXELS STEPS BATCH MANY ASKED",
        folders={"images?": "folder of faces, which one process and two restore"},
        options={"limit": 200},
        history=bench.HISTORY,
    ),
    "search": Experiment(
        search,
        "SIGMA PASSES GRID",
        (behaviour.rivals, *BY_ALL[1:]),
        UNUSED,
        {"limit": 10, "tasks": TASKS, "seed": 0},
        grows=("tasks", "grid"),
        chooses="images",
        sizes=ALL_SIZES,
        fast=True,
    ),
    "seeds": Experiment(
        seeds,
        "SIGMA STEPS SWITCH TASKS",
        BY_POSTER,
        {"celebahq": "folder of 64-pixel faces of CelebA-HQ", **UNSEEN},
        {"limit": 40, "seeds": 3, "faces": 4, "draws": 6},
        grows=("limit", "seeds", "faces", "tasks"),
        sizes=TUNED,
    ),
    "spectrum": Experiment(
        spectrum,
        "LEVELS DRAWS RINGS",
        (behaviour.schedule, spectrum.by_wave),
        UNUSED | INTO,
        {"seed": 0},
        chooses="images",
    ),
    "switches": Experiment(
        switches,
        "SIGMA SWITCHES",
        BY_POSTER,
        UNSEEN,
        {"crop": None, "limit": None, "tasks": TASKS, "steps": 100, "seed": 0, "batch": 20},
        sizes=TUNED,
    ),
    "tuning": Experiment(
        tuning,
        "SIGMA TIE ZETAS LAMS CENTRES CENTRE",
        BY_POSTER,
        UNUSED | INTO,
        {"crop": None, "limit": None, "tasks": TASKS, "steps": 100, "seed": 0, "batch": 20}
        | {"switches": list(tuning.SWITCHES)},
        grows=("tasks",),
        chooses="images",
        alone=True,
    ),
}
