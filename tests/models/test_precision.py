from pathlib import Path

import pytest
import torch

from omnisrc.models import create_model
from omnisrc.models.precision import autocast, computes_bf16, precision_of

CPU = torch.device("cpu")


def test_what_is_asked_for_is_taken_on_every_device() -> None:
    for device in (CPU, torch.device("cuda"), torch.device("meta")):
        assert precision_of("bf16", device) == "bf16" and precision_of("off", device) == "float32"


@pytest.mark.parametrize(("able", "precision"), [
    ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
    ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
    ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, "float32"),
    ({"neon": True}, "float32"),
])  # fmt: skip
def test_auto_is_bf16_on_a_cpu_that_has_instructions_for_it(
    able: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert precision_of("auto", CPU) == precision
    assert precision_of("auto", CPU, training=True) == "float32"


def test_the_cpu_computes_what_linux_says_of_it() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    if "flags" not in flags:
        pytest.skip("the system does not name this CPU's instructions")
    assert computes_bf16(CPU) == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_devices_of_which_nothing_is_known_stay_at_32_bits() -> None:
    assert precision_of("auto", torch.device("meta")) == "float32"


def test_arithmetic_is_done_in_the_precision_named() -> None:
    model, views = create_model("tsn_r18", 3, width=8).eval(), torch.rand(1, 1, 3, 1, 32, 32)
    seen: list[torch.dtype] = []
    model.trunk.register_forward_hook(lambda module, given, maps: seen.append(maps.dtype))
    with torch.no_grad():
        for precision in ("float32", "bf16"):
            with autocast(precision, CPU):
                model(views)
    assert seen == [torch.float32, torch.bfloat16]
