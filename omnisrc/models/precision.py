"""In which precision a network's arithmetic runs: what `amp` of the settings means on a device."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["bf16", "float32"]
PRECISIONS: tuple[Precision, ...] = ("bf16", "float32")


def precision_of(amp: str, device: torch.device, training: bool = False) -> Precision:
    """What the setting `amp` comes to: `auto` is bf16 where the device computes it natively.

    Training on a CPU stays at fp32, so that a run that goes on elsewhere takes the same steps.
    """
    if amp == "auto":
        settled = training and device.type == "cpu"
        return "bf16" if computes_bf16(device) and not settled else "float32"
    return "bf16" if amp == "bf16" else "float32"


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 itself: CUDA from Ampere on, a CPU with AVX512-BF16 or AMX. Elsewhere it is
    made of fp32 operations, or not known. A CUDA device that is not here (a worker's) is taken for one that does.
    """
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return True
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context in which a network runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
