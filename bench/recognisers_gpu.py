"""Clips a second of recognisers on a GPU, forward and training step, and the share of its bf16 peak that they reach.

The peak is that of one large matrix product, measured here, and the maker's where the device is known. Arithmetic is
counted by torch's FlopCounterMode (a multiplication and an addition are two); a training step counts three passes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.models import Recogniser, create_model
from omnisrc.models.create import model_names
from omnisrc.models.precision import autocast

CLASSES = 400
SIDES = {"cuda": 8192}  # of the matrices whose product gives the peak
MAKERS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "A10G": 70e12, "L40": 181e12, "L4": 121e12}
"""Dense bf16 operations a second by the maker's data sheet; the first name that the device's holds counts."""


class Shape(NamedTuple):
    name: str
    views: int
    frames: int
    side: int
    batch: int


SHAPES = (
    Shape("tsn_r50", 8, 1, 224, 64),
    Shape("slowonly_r50", 1, 8, 224, 64),
    Shape("slowonly_r101", 1, 8, 224, 32),
    Shape("slowfast_r50", 1, 32, 224, 32),
    Shape("ircsn_r152", 1, 32, 224, 16),
)


def run(
    names: tuple[str, ...] = (),
    compiled: bool = False,
    seconds: float = 3.0,
    device: str = "cuda",
    shapes: Sequence[Shape] = SHAPES,
) -> dict[str, Any]:
    """The figures of `shapes`, on any device that torch has."""
    place = torch.device(device)
    if place.type == "cuda" and not torch.cuda.is_available():
        return {"GPU": "torch finds no CUDA device here: nothing measured"}
    torch.backends.cudnn.benchmark = True
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else device
    measured = matrix_product(place, seconds)
    maker = next((peak for known, peak in MAKERS.items() if known in name), None)
    figures: dict[str, Any] = {"device": name, "matrix product in bf16, TFLOP/s": measured / 1e12}
    if maker:
        figures["maker's bf16 peak, TFLOP/s"] = maker / 1e12
    for shape in shapes:
        if names and shape.name not in names:
            continue
        if shape.name not in model_names():
            figures[shape.name] = "not in the table of models: not measured"
            continue
        for key, value in measure(shape, compiled, seconds, maker or measured, place).items():
            figures[f"{shape.name} {shape.views} x {shape.frames} x {shape.side}, batch {shape.batch}: {key}"] = value
    return figures


def measure(shape: Shape, compiled: bool, seconds: float, peak: float, place: torch.device) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    work = operations(shape)
    figures["GFLOP a clip, forward"] = work / 1e9
    for layout in ("contiguous", "channels last"):
        for compile_it in (False, True) if compiled else (False,):
            named = f"bf16, {layout}" + (", compiled" if compile_it else "")
            for kind, passes in (("forward", 1), ("training step", 3)):
                try:
                    rate = clips_a_second(shape, layout, compile_it, kind, seconds, place)
                except torch.OutOfMemoryError:
                    figures[f"{kind}, {named}"] = "too much for this device's memory"
                    continue
                figures[f"{kind}, {named}, clips/s"] = rate
                figures[f"{kind}, {named}, share of the peak"] = rate * work * passes / peak
    return figures


def clips_a_second(
    shape: Shape, layout: str, compile_it: bool, kind: str, seconds: float, place: torch.device
) -> float:
    model = create_model(shape.name, CLASSES).to(place)
    clips = torch.randn(shape.batch * shape.views, 3, shape.frames, shape.side, shape.side, device=place)
    if layout == "channels last":
        model = model.to(memory_format=model.memory_format)
        clips = clips.contiguous(memory_format=torch.channels_last_3d)
    views = clips.unflatten(0, (shape.batch, shape.views))
    network: Any = torch.compile(model) if compile_it else model
    step = forward_of(model, network, views) if kind == "forward" else training_of(model, network, views)
    rate = shape.batch / timed(step, seconds, place)
    del model, network, step
    if place.type == "cuda":
        torch.cuda.empty_cache()
    return rate


def forward_of(model: Recogniser, network: Any, views: torch.Tensor) -> Callable[[], None]:
    model.eval()

    def step() -> None:
        with torch.inference_mode(), autocast("bf16", views.device):
            network(views)

    return step


def training_of(model: Recogniser, network: Any, views: torch.Tensor) -> Callable[[], None]:
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    labels = torch.arange(len(views), device=views.device) % CLASSES

    def step() -> None:
        with autocast("bf16", views.device):
            loss = F.cross_entropy(network(views).float(), labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def timed(step: Callable[[], object], seconds: float, place: torch.device) -> float:
    """Median seconds of a step, after a few that prepare kernels."""
    wait = torch.cuda.synchronize if place.type == "cuda" else torch.cpu.synchronize
    for _ in range(4):
        step()
    wait(place)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        step()
        wait(place)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def operations(shape: Shape) -> int:
    """Of one clip's forward pass."""
    model = create_model(shape.name, CLASSES).eval().to("meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.empty(1, shape.views, 3, shape.frames, shape.side, shape.side, device="meta"))
    return int(counter.get_total_flops())


def matrix_product(place: torch.device, seconds: float) -> float:
    """Operations a second of a product of two square bf16 matrices."""
    side = SIDES.get(place.type, 512)
    a, b = (torch.randn(side, side, device=place, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / timed(lambda: torch.mm(a, b), min(seconds, 1.0), place)
