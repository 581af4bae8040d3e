"""Clips a second of each recogniser's forward pass on the CPU, beside the same architecture from its origin.

`python bench/recognisers.py [--no-compile] [--seconds N] [name ...]`; `--gpu` for bench/recognisers_gpu.py. One clip,
the same input and threads for all; the variants of a case take turns. A ratio is the median over turns of the origin's
time by ours in one precision, each in the layout that is faster for it, by the clock and by CPU seconds (which choose
what is fastest); for it these two take turns alone, since what runs between them leaves memory in another state.
`default` is what `omnisrc eval` runs: the model's own layout, the precision that `auto` comes to.
bench/origins.py says where the origins come from.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import torch._dynamo  # noqa: E402
from torch import nn  # noqa: E402

from bench.origins import CASES, CLASSES, Case  # noqa: E402
from omnisrc.models import Recogniser, create_model  # noqa: E402
from omnisrc.models.compiling import compile_trunk  # noqa: E402
from omnisrc.models.create import model_names  # noqa: E402
from omnisrc.models.precision import precision_of  # noqa: E402

SECONDS = 12.0  # of turns for each case
TURNS = 3, 15
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}
PRECISIONS = {"fp32": False, "bf16": True}
Run = Callable[[], object]


def run(names: tuple[str, ...] = (), seconds: float = SECONDS, compiled: bool = True) -> dict[str, Any]:
    figures: dict[str, Any] = {"torch threads": torch.get_num_threads()}
    for case in CASES:
        if names and case.name not in names:
            continue
        if case.name not in model_names():
            figures[case.name] = "not in the table of models: not measured"
            continue
        for key, value in measure(case, seconds, compiled).items():
            figures[f"{case.name}: {key}"] = value
            print(f"{case.name}: {key}: {value:.3g}" if isinstance(value, float) else f"{case.name}: {key}: {value}")
    return figures


@torch.inference_mode()
def measure(case: Case, seconds: float, compiled: bool) -> dict[str, Any]:
    """Clips a second of every variant, which one of ours is fastest, and the ratios to the origins."""
    torch._dynamo.reset()  # it compiles no more than a few networks of one class in a process
    ours = create_model(case.name, CLASSES).eval()
    size = f"{case.views} x {case.frames} x {case.side}"
    figures: dict[str, Any] = {"views x frames x side; parameters": f"{size}; {parameters(ours):,}"}
    variants: dict[str, Run] = {}
    for layout, (precision, bf16) in product(LAYOUTS, PRECISIONS.items()):
        variants[f"ours, {layout}, {precision}"] = our_pass(case, ours, layout, bf16)
    for precision, bf16 in PRECISIONS.items() if compiled else ():
        run = our_pass(case, ours, "channels last", bf16, compiled=True)
        figures[f"ours, channels last, {precision}, compiled: seconds until the first answer"] = seconds_of(run)
        variants[f"ours, channels last, {precision}, compiled"] = run
    for origin, build in case.origins.items():
        try:
            network = build().eval()
        except Exception as error:
            figures[origin] = f"does not import or build here ({type(error).__name__}: {error}); see bench/origins.py"
            continue
        if parameters(network) != parameters(ours):
            figures[f"{origin}, parameters"] = f"{parameters(network):,}"
        for layout, (precision, bf16) in product(LAYOUTS, PRECISIONS.items()):
            variants[f"{origin}, {layout}, {precision}"] = their_pass(case, network, layout, bf16)
    times = take_turns(variants, seconds)
    median = {name: statistics.median(each.clock for each in took) for name, took in times.items()}
    work = {name: statistics.median(each.work for each in took) for name, took in times.items()}
    for name in times:
        figures[f"{name}, clips/s; CPU seconds a clip"] = f"{1 / median[name]:.3g}; {work[name]:.3g}"
    eager = [name for name in work if name.startswith("ours") and not name.endswith("compiled")]
    fastest, default = min(eager, key=work.__getitem__), default_of(ours)
    figures["fastest of ours; default"] = f"{fastest}; {default}"
    figures["default's share of the fastest, by CPU seconds"] = work[fastest] / work[default]
    for origin, precision in product(case.origins, PRECISIONS):
        if any(name.startswith(origin) for name in times):
            mine, theirs = (
                min((f"{who}, {layout}, {precision}" for layout in LAYOUTS), key=work.__getitem__)
                for who in ("ours", origin)
            )
            again = take_turns({name: variants[name] for name in (theirs, mine)}, seconds / 3)
            pairs = list(zip(again[theirs], again[mine], strict=True))
            label = f"ratio of {mine}, to {theirs} (aim 0.95)"
            figures[label] = statistics.median(a.clock / b.clock for a, b in pairs)
            figures[f"{label}, by CPU seconds"] = statistics.median(a.work / b.work for a, b in pairs)
    return figures


def default_of(model: Recogniser) -> str:
    """The name of the variant that `omnisrc eval` runs here."""
    layout = "contiguous" if model.memory_format == torch.contiguous_format else "channels last"
    precision = "bf16" if precision_of("auto", torch.device("cpu")) == "bf16" else "fp32"
    return f"ours, {layout}, {precision}"


def seconds_of(run: Run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


class Took(NamedTuple):
    """Seconds by the clock, and of the processors' time (which a busy machine does not blur)."""

    clock: float
    work: float


def take_turns(variants: dict[str, Run], seconds: float) -> dict[str, list[Took]]:
    """What each pass took, the variants one after the other in an order that turns round every time."""
    for run in variants.values():
        run()  # torch prepares its kernels
    times: dict[str, list[Took]] = {name: [] for name in variants}
    began, turn = time.perf_counter(), 0
    while turn < TURNS[0] or (turn < TURNS[1] and time.perf_counter() - began < seconds):
        for name in list(variants)[:: 1 if turn % 2 else -1]:
            clock, work = time.perf_counter(), time.process_time()
            variants[name]()
            times[name].append(Took(time.perf_counter() - clock, time.process_time() - work))
        turn += 1
    return times


def our_pass(case: Case, model: nn.Module, layout: str, bf16: bool, compiled: bool = False) -> Run:
    """A copy of the model in that layout, as `omnisrc eval` runs it."""
    own = create_model(case.name, CLASSES).eval()
    own.load_state_dict(model.state_dict())
    if layout == "channels last":
        solid = any(weight.ndim == 5 for weight in own.parameters())
        own = own.to(memory_format=torch.channels_last_3d if solid else torch.channels_last)
    views = clips_of(case, layout).unflatten(0, (1, case.views))
    if compiled:
        compile_trunk(own)

    def forward() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            own(views)

    return forward


def their_pass(case: Case, network: nn.Module, layout: str, bf16: bool) -> Run:
    own = copy.deepcopy(network)
    flat = any(isinstance(module, nn.Conv2d) for module in own.modules())
    form = torch.channels_last if flat else torch.channels_last_3d
    if layout == "channels last":
        own = own.to(memory_format=form)
    clips = clips_of(case, layout)

    def forward() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            own(clips)

    return forward


def clips_of(case: Case, layout: str) -> torch.Tensor:
    """(V, 3, T, H, W) in a layout of memory."""
    shape = (case.views, 3, case.frames, case.side, case.side)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return clips.contiguous(memory_format=LAYOUTS[layout])


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description="Clips a second of the recognisers beside their origins.")
    parser.add_argument("names", nargs="*", help="Of the table of models; none: all.")
    parser.add_argument("--no-compile", action="store_true", help="Without torch.compile (a minute or two each).")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="Of turns for each case.")
    parser.add_argument("--gpu", action="store_true", help="On the first CUDA device instead.")
    asked = parser.parse_args()
    if asked.gpu:
        from bench import recognisers_gpu

        figures = recognisers_gpu.run(tuple(asked.names), compiled=not asked.no_compile)
    else:
        figures = run(tuple(asked.names), asked.seconds, not asked.no_compile)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
