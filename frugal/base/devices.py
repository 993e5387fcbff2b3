"""Where the network runs, and what to call that place in a results file."""

import platform

import torch

from .checks import Refusal


def choose(name: str | torch.device = "auto") -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU. Raises Refusal for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)  # a GPU that is not there is only noticed when it is used
    except (RuntimeError, AssertionError):
        raise Refusal(
            f"device: {name!r} is not on this machine; accepted are auto, cpu, cuda, cuda:0 and so on"
        ) from None
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a GPU or a processor has arithmetic for bfloat16; a processor without it may take forty times as long
    as in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def describe(device: torch.device) -> str:
    """Name of the GPU, or of the CPU with the number of threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
