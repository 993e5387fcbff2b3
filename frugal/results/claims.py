"""The poster's 29 claims as data, and one rule that takes measured comparisons to a verdict on each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .rows import Gap, Measured, Rows, measured
from .statistics import together

# The poster's Table 1: seconds, pSNR (dB) and LPIPS, means over 20 faces.
TABLE1 = {"dps": (17.72, 19.37, 0.25), "dmps": (9.19, 15.63, 0.41), "hybrid": (13.42, 19.97, 0.24)}


@dataclass(frozen=True)
class Comparison:
    """A method minus a reference over the same pictures, and what the poster says of it.

    poster     "better" or "worse"
    file       of ``book/measured``, and ``columns``, the values that choose its rows
    ours       the method, and ``theirs``, what it is compared with
    beside     (file, columns) of the reference, where it stands in another file
    metrics    the metrics that the claim speaks of
    published  the method whose differences from DPS in ``TABLE1`` stand beside it
    """

    poster: str
    file: str
    columns: Mapping[str, object]
    ours: str
    theirs: str = "dps"
    beside: tuple[str, Mapping[str, object]] | None = None
    metrics: tuple[str, ...] = ("psnr", "lpips")
    published: str | None = None

    def rows(self, read: Callable[[str], Measured] = measured) -> Rows:
        """The rows that are compared."""
        found = read(self.file).of(**self.columns)
        if self.beside is None:
            return found
        file, columns = self.beside
        ours = found.of(method=self.ours)
        return ours + read(file).of(**columns, method=self.theirs).on(set(ours.pictures))

    def gaps(self, read: Callable[[str], Measured] = measured) -> dict[str, Gap]:
        """{metric: gap} for every metric that the rows hold."""
        return self.rows(read).gaps(self.ours, self.theirs)

    def says(self, gaps: Mapping[str, Gap]) -> str:
        """One verdict from those on the metrics that the claim speaks of."""
        return together(gaps[key].verdict for key in self.metrics)

    def expected(self) -> dict[str, float]:
        """{metric: the poster's own difference}, rounded as its table is; empty where it has none."""
        if self.published is None:
            return {}
        pairs = zip(("psnr", "lpips"), TABLE1[self.published][1:], TABLE1["dps"][1:])
        return {key: round(a - b, 2) for key, a, b in pairs}


def against_dps(rows: Rows, k: int) -> dict[str, dict[str, Gap]]:
    """{what is made equal: gaps} of the hybrid with switch k minus DPS, on the rows of one task of ``switches``."""
    pairs = {"same ζ": ("same", "dps"), "own ζ": ("own", "dps"), "equal cost": ("own", f"equal {k}")}
    return {equal: rows.gaps(f"{ours} {k}", theirs) for equal, (ours, theirs) in pairs.items()}


def agreement(poster: str, verdict: str) -> str:
    """Whether a verdict is the poster's: "agrees"; "open" with too few faces; any other "disagrees"."""
    return "agrees" if verdict == poster else "open" if verdict == "not enough faces" else "disagrees"


def holds(agreements: Iterable[str]) -> str:
    """What comparisons make of a claim: it holds where all agree, and does not where one disagrees."""
    said = set(agreements)
    return "does not hold" if "disagrees" in said else "not enough faces" if "open" in said else "holds"


SR16, SR4, BOX = ({"task": task} for task in ("sr16", "sr4", "inpaint-box"))
HQ, OUTPAINT = {"set": "CelebA-HQ"}, {"task": "outpaint"}
COMPARISONS = {
    "DMPS − DPS, sr16": Comparison("worse", "switches", SR16, "dmps", published="dmps"),
    "DMPS − DPS, sr4": Comparison("worse", "switches", SR4, "dmps", published="dmps"),
    "DMPS − DPS, sr16, CelebA-HQ": Comparison("worse", "seeds", HQ | SR16, "dmps", published="dmps"),
    "DMPS − DPS, sr4, CelebA-HQ": Comparison("worse", "seeds", HQ | SR4, "dmps", published="dmps"),
    "DMPS − DPS, inpainting": Comparison("worse", "switches", BOX, "dmps"),
    "DMPS − DPS, outpainting": Comparison("worse", "conditions", OUTPAINT, "dmps"),
    "hybrid − DPS, sr16": Comparison("better", "switches", SR16, "own 50", published="hybrid"),
    "hybrid − DPS, sr4": Comparison("better", "switches", SR4, "own 50", published="hybrid"),
    "hybrid − DPS, sr16, CelebA-HQ": Comparison("better", "seeds", HQ | SR16, "hybrid", published="hybrid"),
    "hybrid − DPS, sr4, CelebA-HQ": Comparison("better", "seeds", HQ | SR4, "hybrid", published="hybrid"),
    "hybrid − DPS, inpainting": Comparison("better", "switches", BOX, "own 50"),
    "hybrid − DPS, out of distribution": Comparison(
        "better", "natural", BOX, "hybrid 50", metrics=("lpips",)
    ),
    "hybrid, k = 5, − DPS, out of distribution": Comparison(
        "better", "natural", BOX, "hybrid 5", metrics=("lpips",)
    ),
    "hybrid − DPS at equal cost, sr16": Comparison("better", "switches", SR16, "own 50", "equal 50"),
    "hybrid − DPS at equal cost, sr4": Comparison("better", "switches", SR4, "own 50", "equal 50"),
    "hybrid, k = 5, − DPS, sr16": Comparison("better", "switches", SR16, "own 5"),
    "hybrid, k = 5, − DPS, sr4": Comparison("better", "switches", SR4, "own 5"),
    "hybrid, k = 5, − DPS, inpainting": Comparison("better", "switches", BOX, "own 5"),
    "20 dB rule, first, − DPS, sr4": Comparison("better", "rule", SR4, "first", beside=("switches", SR4)),
    "20 dB rule, settled, − DPS, sr4": Comparison("better", "rule", SR4, "settled", beside=("switches", SR4)),
}


@dataclass(frozen=True)
class Claim:
    """A claim of the poster: its words, the pages (by number) that answer it, and what decides.

    found    the verdict where a derivation or a page decides
    decided  {what is asked: names of ``COMPARISONS``} where measurements decide
    """

    says: str
    pages: tuple[str, ...]
    found: str = "holds"
    decided: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def verdicts(self, agreements: Mapping[str, str]) -> dict[str, str]:
        """{what is asked: verdict}, from {comparison: ``agreement``}; {"": ``found``} without comparisons."""
        if not self.decided:
            return {"": self.found}
        return {asked: holds(agreements[name] for name in names) for asked, names in self.decided.items()}


CLAIMS = {
    1: Claim("Problem is ill-posed, that is infinitely many solutions $x_0$ exist", ("01",)),
    2: Claim("Denoising, Colorization, Superresolution, Deblurring, Inpainting, Outpainting", ("01",)),
    3: Claim("the two reverse equations of $dx_t$, with $t = T, \\dots, 0$", ("02",)),
    4: Claim("$\\nabla \\log p_t(y \\mid x_t)$ is unknown, $\\nabla \\log p_t(x_t)$ is known", ("02",)),
    5: Claim(
        "two ways without training again: a new score, or a measurement model that knows the noise", ("02",)
    ),
    6: Claim(
        "Eq. 1: $\\mathbb E[x_0 \\mid x_k, y]$ is an integral over $q_{0 \\mid k}(x_0 \\mid x_k, y)$", ("02",)
    ),
    7: Claim("Eq. 2: Tweedie's formula with a measurement", ("02",)),
    8: Claim("Eq. 3: DPS assumes that $q_{0 \\mid k}$ is a point at the guess", ("03", "12")),
    9: Claim("claims to be 3x faster per function evaluation than DPS", ("04",), "does not hold"),
    10: Claim("Eq. 4: the flat prior turns $p(x_0 \\mid x_t)$ into a Gaussian around", ("04",)),
    11: Claim("Eqs. 5 and 6 are the score under Eq. 4, and equal", ("04",)),
    12: Claim("The SVD in Eq 6 circumvents inversion of $A$", ("04",)),
    13: Claim("It only needs to be computed once", ("04",)),
    14: Claim("crude assumption", ("04",)),
    15: Claim(
        "For this reason, [3] were unable to perform difficult tasks such as inpainting and outpainting",
        ("13",),
        decided={
            "DMPS worse than DPS in inpainting": ("DMPS − DPS, inpainting",),
            "in outpainting": ("DMPS − DPS, outpainting",),
        },
    ),
    16: Claim(
        'DPS is driven by the score, "exploitation"; DMPS by the noise, "exploration"',
        ("05",),
        "compared, not judged",
    ),
    17: Claim('DPS "chances upon" the manifold', ("05",)),
    18: Claim(
        "Use DPS to sample from time t to k and DMPS to sample from time k to 0", ("07",), "implemented"
    ),
    19: Claim("speciation at $t_S$, collapse at $t_C$", ("06",), "two different times"),
    20: Claim(
        "it is reasonable to assume $p(x_0 \\mid x_k) \\propto p(x_k \\mid x_0)$", ("12",), "does not hold"
    ),
    21: Claim(
        "for $k \\ll t$",
        ("13",),
        decided={
            "hybrid with k = 5 of 100 better than DPS": (
                "hybrid, k = 5, − DPS, sr16",
                "hybrid, k = 5, − DPS, sr4",
                "hybrid, k = 5, − DPS, inpainting",
            )
        },
    ),
    22: Claim(
        "a heuristic finds $t_C$: pSNR of consecutive guesses $\\ge$ 20 dB, which gives $k = 50$ of 100",
        ("06", "13"),
        decided={
            "k by the rule better than DPS (two readings)": (
                "20 dB rule, first, − DPS, sr4",
                "20 dB rule, settled, − DPS, sr4",
            )
        },
    ),
    23: Claim(
        '"a pre-trained CelebA diffusion model", "tasks that [3] did not"', ("A",), "cannot be tested here"
    ),
    24: Claim("Figure 1: super-resolution, $t = 300$", ("08",), "shown, not judged"),
    25: Claim("Figure 2: inpainting, $t = 100$", ("09",), "shown, not judged"),
    26: Claim(
        "Table 1, DMPS minus DPS: half the time (0.52), 3.74 dB and 0.16 worse",
        ("10",),
        decided={"DMPS worse than DPS (the order, not the size)": ("DMPS − DPS, sr16", "DMPS − DPS, sr4")},
    ),
    27: Claim(
        "better metrics on in-distribution images than DPS in a shorter time",
        ("10", "13"),
        decided={
            "better": ("hybrid − DPS, sr16", "hybrid − DPS, sr4"),
            "better at equal cost": ("hybrid − DPS at equal cost, sr16", "hybrid − DPS at equal cost, sr4"),
        },
    ),
    28: Claim(
        "more robust (lower LPIPS) than DPS",
        ("11",),
        decided={
            "lower LPIPS out of distribution": ("hybrid − DPS, out of distribution",),
            "with k = 5 of 100": ("hybrid, k = 5, − DPS, out of distribution",),
        },
    ),
    29: Claim(
        "it promotes exploration once a mode is found (escaping sharp local minima)",
        ("12",),
        "counted, not judged",
    ),
}
