"""Plant mistakes in a copy of the library, one at a time, and note which tests of the laboratory catch each.

python tests/plant.py --out book/measured/mutants.json

Runs tests/test_laboratory.py once on the library as it is, which must pass, and once for each mistake.
FILE: {"meta": {...}, "mutants": [{"name", "file", "old", "new", "failed": {test: how many of its cases}}]}.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# (name, file, the text as it is, the text with the mistake); the first must be in the file exactly once.
MISTAKES = [
    (
        "network told the step before",
        "schedule.py",
        "timestep=(None, *kept.tolist())",
        "timestep=(None, *(kept - 1).clamp_min(0).tolist())",
    ),
    (
        "alpha not recomputed after respacing",
        "schedule.py",
        "alpha_bar[1:] / alpha_bar[:-1]",
        "scheduler.alphas.double().cpu()[kept]",
    ),
    (
        "s without its square root",
        "schedule.py",
        "((1 - alpha_bar) / alpha_bar).sqrt()",
        "((1 - alpha_bar) / alpha_bar)",
    ),
    (
        "alpha_bar[k] for alpha_bar[k - 1] in the weight of the guess",
        "schedule.py",
        "alpha_bar_prev**0.5 * self.beta[k]",
        "alpha_bar**0.5 * self.beta[k]",
    ),
    (
        "noise of variance beta, also at the last step",
        "schedule.py",
        "variance = self.beta[k] * (1 - alpha_bar_prev) / (1 - alpha_bar)",
        "variance = self.beta[k]",
    ),
    ("variance for standard deviation", "schedule.py", "mean + variance**0.5 * z", "mean + variance * z"),
    (
        "sign of the noise in v-prediction",
        "schedule.py",
        "alpha_bar**0.5 * x_k - (1 - alpha_bar) ** 0.5 * output",
        "alpha_bar**0.5 * x_k + (1 - alpha_bar) ** 0.5 * output",
    ),
    ("sign of Eq. 3", "guidance.py", "return -(norm / sigma**2)", "return (norm / sigma**2)"),
    ("sigma not squared in Eq. 3", "guidance.py", "(norm / sigma**2)", "(norm / sigma)"),
    ("Eq. 3 without the residual's length", "guidance.py", "-(norm / sigma**2)", "-(norm**0 / sigma**2)"),
    ("sigma not squared in Eq. 5", "guidance.py", "sigma**2 * torch.eye", "sigma * torch.eye"),
    ("sigma not squared in Eq. 6", "guidance.py", "s_i / (sigma**2 + s2", "s_i / (sigma + s2"),
    ("s_i squared once too often in Eq. 6", "guidance.py", "s_i / (sigma**2", "s_i**2 / (sigma**2"),
    ("x_k not rescaled in Eq. 6", "guidance.py", "s_i * A.Vt(x_k) / alpha_bar**0.5", "s_i * A.Vt(x_k)"),
    (
        "1 / sqrt(alpha_bar) left out of Eq. 6",
        "guidance.py",
        "A.V(gain * residual) / alpha_bar**0.5",
        "A.V(gain * residual)",
    ),
    ("sign of the DPS step", "samplers.py", "x_prime - zeta * gradient", "x_prime + zeta * gradient"),
    (
        "guess and x_k swapped in DPS",
        "samplers.py",
        "(k, x_k.detach(), x0_hat, z)",
        "(k, x0_hat, x_k.detach(), z)",
    ),
    (
        "beta / alpha for beta / sqrt(alpha)",
        "samplers.py",
        "schedule.alpha[k] ** 0.5 * score",
        "schedule.alpha[k] * score",
    ),
    (
        "alpha_bar[k - 1] for alpha_bar[k] in DMPS",
        "samplers.py",
        "A, sigma, schedule.alpha_bar[k])",
        "A, sigma, schedule.alpha_bar[k - 1])",
    ),
    ("guess for x_k in DMPS", "samplers.py", "dmps_score(x_k, y", "dmps_score(x0_hat, y"),
    (
        "switch off by one",
        "samplers.py",
        "(k > switch).nonzero()[:, 0].to(x.device), (k <= switch)",
        "(k >= switch).nonzero()[:, 0].to(x.device), (k < switch)",
    ),
    (
        "switch at collapse one step late",
        "samplers.py",
        "(switch == 0), k - 1, switch)",
        "(switch == 0), k - 2, switch)",
    ),
    (
        "sigma squared in the measurement",
        "operators.py",
        "return y + sigma * randn",
        "return y + sigma**2 * randn",
    ),
    (
        "block sums for block means",
        "operators.py",
        "torch.full((math.prod(small),), 1 / factor",
        "torch.full((math.prod(small),), factor",
    ),
    (
        "adjoint without the singular values",
        "operators.py",
        "self.V(self.s(y) * self.Ut(y))",
        "self.V(self.Ut(y))",
    ),
    (
        "colorization's singular value",
        "operators.py",
        "torch.full((H * W,), C**-0.5",
        "torch.full((H * W,), 1 / C",
    ),
    (
        "blur's singular values in the wrong order",
        "operators.py",
        ".flatten().repeat(C)",
        ".flatten().repeat_interleave(C)",
    ),
    ("blur's shift not undone in U^T", "operators.py", "shift(y, phase.conj())", "shift(y, phase)"),
    (
        "box and its surroundings swapped",
        "operators.py",
        '"inpaint-box": lambda image_shape: ~box',
        '"inpaint-box": lambda image_shape: box',
    ),
    ("collapse read one step early", "collapse.py", "len(curve) - 1 - first", "len(curve) - first"),
    ("guesses two steps apart", "collapse.py", "zip(x0_hats, x0_hats[1:])", "zip(x0_hats, x0_hats[2:])"),
    ("settled k off by one", "collapse.py", "(kept - 1).clamp_min(0)", "kept.clamp_min(0)"),
]


def planted(file, old, new):
    """The text of a file of the library with one mistake in it."""
    text = (ROOT / "frugal" / file).read_text()
    if text.count(old) != 1 or old == new:
        raise ValueError(f"{file}: {old!r} is there {text.count(old)} times; a mistake needs it exactly once")
    return text.replace(old, new)


def failed_tests(folder):
    """{test: number of its cases that fail} of the laboratory with the library in ``folder``."""
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "test_laboratory.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    failed = Counter(re.findall(r"^(?:FAILED|ERROR) test_laboratory\.py(?:::(\w+))?", done.stdout, re.M))
    if done.returncode != (1 if failed else 0):
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return dict(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    mutants = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "frugal"
        leave = shutil.ignore_patterns("__pycache__", "priors", "pictures")
        shutil.copytree(ROOT / "frugal", copy, ignore=leave)
        for name in ("conftest.py", "test_laboratory.py"):
            shutil.copy(ROOT / "tests" / name, folder)
        if failed := failed_tests(folder):
            raise RuntimeError(f"the laboratory fails without a mistake: {failed}")
        for name, file, old, new in MISTAKES:
            good = (copy / file).read_text()
            (copy / file).write_text(planted(file, old, new))
            failed = failed_tests(folder)
            (copy / file).write_text(good)
            mutants.append({"name": name, "file": file, "old": old, "new": new, "failed": failed})
            print(f"{name}: {sum(failed.values())} cases of {', '.join(failed) or 'no test'}")
    caught = sum(bool(m["failed"]) for m in mutants)
    meta = {"planted": len(mutants), "caught": caught, "tests": "tests/test_laboratory.py"}
    out.write_text(json.dumps({"meta": meta, "mutants": mutants}, indent=1) + "\n")
    print(f"{caught} of {len(mutants)} caught")


if __name__ == "__main__":
    main()
