"""PyTorchVideo's hub: the same networks, their modules counted as blocks. One layout a kind of network."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import Layout, Row
from omnisrc.models.released import Sampling

NAME = "pytorchvideo"

MEAN = [114.75, 114.75, 114.75]
STD = [57.375, 57.375, 57.375]
"""0.45 and 0.225 of frames in 0..1."""


def _stem(theirs: str, ours: str) -> tuple[Row, ...]:
    return ((f"{theirs}.conv.{{p}}", f"{ours}conv1.{{p}}"), (f"{theirs}.norm.{{p}}", f"{ours}bn1.{{p}}"))


def _blocks(theirs: str, ours: str) -> tuple[Row, ...]:
    """Residual blocks: their `theirs`.res_blocks are our `ours`."""
    there, here = f"{theirs}.res_blocks.{{b}}", f"{ours}.{{b}}"
    return (
        (f"{there}.branch1_conv.{{p}}", f"{here}.downsample.0.{{p}}"),
        (f"{there}.branch1_norm.{{p}}", f"{here}.downsample.1.{{p}}"),
        (f"{there}.branch2.conv_b.conv_xy.{{p}}", f"{here}.conv2.conv_s.{{p}}"),
        (f"{there}.branch2.conv_b.conv_t.{{p}}", f"{here}.conv2.conv_t.{{p}}"),
        (f"{there}.branch2.conv_b.norm.{{p}}", f"{here}.conv2.bn.{{p}}"),
        *(
            row
            for number, letter in enumerate("abc", 1)
            for row in (
                (f"{there}.branch2.conv_{letter}.{{p}}", f"{here}.conv{number}.{{p}}"),
                (f"{there}.branch2.norm_{letter}.{{p}}", f"{here}.bn{number}.{{p}}"),
            )
        ),
    )


def _rows(layers: tuple[int, int, int, int], head: int) -> tuple[Row, ...]:
    """Of a network whose layers and head are the blocks of these numbers."""
    blocks = [_blocks(f"blocks.{number}", f"trunk.layer{at}") for at, number in enumerate(layers, 1)]
    return (*_stem("blocks.0", "trunk."), *sum(blocks, ()), (f"blocks.{head}.proj.{{p}}", "head.fc.{p}"))


def _pathways() -> tuple[Row, ...]:
    rows: list[Row] = []
    for number, way in enumerate(("slow", "fast")):
        rows += _stem(f"blocks.0.multipathway_blocks.{number}", f"trunk.{way}.")
        rows += _blocks(f"blocks.{{l}}.multipathway_blocks.{number}", f"trunk.{way}.layer{{l}}")
    rows += [
        ("blocks.{n}.multipathway_fusion.conv_fast_to_slow.{p}", "trunk.laterals.{n}.conv.{p}"),
        ("blocks.{n}.multipathway_fusion.norm.{p}", "trunk.laterals.{n}.bn.{p}"),
        ("blocks.6.proj.{p}", "head.fc.{p}"),
    ]
    return tuple(rows)


def _scaling(contents: Contents) -> dict[str, Any]:
    return {"mean": MEAN, "std": STD}


def _of_pooled(contents: Contents) -> Mapping[str, Any]:
    """I3D's stem keeps all frames here; C2D's is one frame deep and fits its own name."""
    meta = _scaling(contents)
    if contents.state["blocks.0.conv.weight"].shape[2] == 1:
        return meta
    sampling = {"clip_len": 8, "frame_interval": 8, "num_segments": 1}
    args = POOLED.size(contents.state).args | {"stem_stride": 1}
    return meta | {"model": "i3d_r50", "model_args": args, "sampling": sampling}


def _of_plain(contents: Contents) -> Mapping[str, Any]:
    """CSN is told by its depthwise convolutions; its norms have another eps than its origin's."""
    meta = _scaling(contents)
    middle = contents.state.get("blocks.1.res_blocks.0.branch2.conv_b.weight")
    if middle is None or middle.shape[1] > 1 or middle.shape[2] == 1:
        return meta
    size = PLAIN.size(contents.state)
    return meta | {"model": f"ircsn_r{size.depth}", "model_args": size.args | {"eps": 1e-5}}


def _of_pathways(contents: Contents) -> Mapping[str, Any]:
    rates = two_rates(contents.path)
    told = pathways_of(SLOWFAST, contents, FUSION)
    told["model_args"] |= {"alpha": rates.alpha}
    return _scaling(contents) | told | {"sampling": rates.sampling._asdict()}


class Rates(NamedTuple):
    """Of the two pathways: frames of the fast one for each of the slow one, and how the fast one's are sampled."""

    alpha: int
    sampling: Sampling


def two_rates(path: Path) -> Rates:
    """By the "4x16" in the file's name, the slow pathway's frames and their distance; the fast one's lie 2 apart.

    "32x2" are the fast pathway's own, and a name that says nothing is 8x8's.
    """
    frames, apart = named_rate(path) or (8, 8)
    if apart <= 2:
        return Rates(4, Sampling(frames, apart, 1))
    return Rates(apart // 2, Sampling(frames * (apart // 2), 2, 1))


def named_rate(path: Path) -> tuple[int, int] | None:
    """The frames and their distance that a "16x4" in the file's name says."""
    named = re.search(r"(?<!\d)(\d{1,2})x(\d{1,2})(?!\d)", path.stem)
    return (int(named[1]), int(named[2])) if named else None


def pathways_of(form: Layout, contents: Contents, lateral: str) -> dict[str, Any]:
    """Model and arguments of a SlowFast network but for its alpha; `lateral` is the name of its first lateral's weight.

    Frames of the slow pathway are spread, laterals normed, the slow pathway's channels first, as we have it.
    """
    sizes = {way: form.size(contents.state, f"trunk.{way}.") for way in ("slow", "fast")}
    slow, fast = sizes["slow"].depth, sizes["fast"].depth
    args = sizes["slow"].args | {"lateral_kernel": contents.state[lateral].shape[2]}
    for way in sizes:
        kernels = [
            value.shape[2]
            for key, value in contents.state.items()
            if re.fullmatch(rf"trunk\.{way}\.layer3\.\d+\.conv1\.weight", form.our_key(key) or "")
        ]
        if 1 in kernels:
            args[f"{way}_timed"] = len(kernels) - kernels.count(1)
    return {"model": f"slowfast_r{slow}" if slow == fast else f"slowfast_r{slow}_r{fast}", "model_args": args}


def _holding(*wanted: str) -> Callable[[Collection[str]], bool]:
    return lambda keys: all(key in keys for key in wanted)


FUSION = "blocks.0.multipathway_fusion.conv_fast_to_slow.weight"
FIRST = "blocks.1.res_blocks.0.branch2.conv_a.weight"

PLAIN = Layout(
    NAME,
    _holding(FIRST),
    _rows((1, 2, 3, 4), 5),
    _of_plain,
    WRITES=("slowonly_r50", "slowonly_r101", "ircsn", "r2plus1d_r50"),
)
"""Slow, CSN and R(2+1)D."""
POOLED = Layout(
    NAME, _holding(FIRST, "blocks.6.proj.weight"), _rows((1, 3, 4, 5), 6), _of_pooled, WRITES=("i3d_r50", "c2d")
)
"""I3D and C2D, whose second block is a pooling."""
SLOWFAST = Layout(NAME, _holding(FUSION), _pathways(), _of_pathways, WRITES=("slowfast_r50", "slowfast_r101"))

LAYOUTS = (SLOWFAST, POOLED, PLAIN)
