"""PySlowFast's own networks (`.pyth`), and the Caffe2 blobs that it was ported from, once read (see `blobs`).

They count the stages from s1, the stem, to s5 and letter the convolutions of a block a, b, c. SlowFast's kinetics
models take RGB, the Caffe2 ones too (facebookresearch/SlowFast, issue 298; its `REVERSE_INPUT_CHANNEL` says otherwise).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import Layout, Row, State
from omnisrc.models.checkpoints.pytorchvideo import MEAN, STD, pathways_of, two_rates
from omnisrc.models.checkpoints.pytorchvideo_x3d import adapt, named_x3d, unadapt
from omnisrc.models.checkpoints.training_config import pyslowfast_config, pyslowfast_said

NAME = "pyslowfast"

FROM_BLOBS = (
    (r"^nonlocal_conv(\d)_(\d+)_bn_", r"s\1.pathway0_nonlocal\2.norm."),
    (r"^nonlocal_conv(\d)_(\d+)_(theta|phi|g|out)_", r"s\1.pathway0_nonlocal\2.conv_\3."),
    (r"^t_pool1_subsample_bn_", "s1_fuse.bn."),
    (r"^t_pool1_subsample_", "s1_fuse.conv_f2s."),
    (r"^t_res(\d)_\d+_branch2c_bn_subsample_bn_", r"s\1_fuse.bn."),
    (r"^t_res(\d)_\d+_branch2c_bn_subsample_", r"s\1_fuse.conv_f2s."),
    (r"^res_conv1_bn_", "s1.pathway0_stem.bn."),
    (r"^t_res_conv1_bn_", "s1.pathway1_stem.bn."),
    (r"^conv1_", "s1.pathway0_stem.conv."),
    (r"^t_conv1_", "s1.pathway1_stem.conv."),
    (r"^res(\d)_", r"s\1.pathway0_res"),
    (r"^t_res(\d)_", r"s\1.pathway1_res"),
    (r"_branch2([abc])_bn_", r".branch2.\1_bn."),
    (r"_branch2([abc])_", r".branch2.\1."),
    (r"_branch1_bn_", ".branch1_bn."),
    (r"_branch1_", ".branch1."),
    (r"^pred_", "head.projection."),
    (r"\.(?:s|w)$", ".weight"),
    (r"\.b$", ".bias"),
    (r"\.rm$", ".running_mean"),
    (r"\.riv$", ".running_var"),
)
OWN = re.compile(r"(?:s\d|s\d_fuse|head)\.")
IN_NON_LOCAL = (("conv_theta", "theta"), ("conv_phi", "phi"), ("conv_g", "g"), ("conv_out", "out"), ("norm", "bn"))


def is_blobs(keys: Collection[str]) -> bool:
    return {"conv1_w", "pred_w"} <= set(keys)


def from_blobs(state: Mapping[str, Any]) -> dict[str, Any]:
    """Caffe2's blobs under PySlowFast's names; what it keeps beside a network (learning rate, iterations) is gone."""
    named = {_renamed(key): value for key, value in state.items()}
    return {key: value for key, value in named.items() if OWN.match(key)}


def _renamed(blob: str) -> str:
    for pattern, replacement in FROM_BLOBS:
        blob = re.sub(pattern, replacement, blob)
    return blob


def _blocks(pathway: int, ours: str) -> tuple[Row, ...]:
    """Residual blocks: s2 to s5 are our layer1 to layer4."""
    rows: list[Row] = []
    for at in range(1, 5):
        there, here = f"s{at + 1}.pathway{pathway}_res{{b}}", f"{ours}layer{at}.{{b}}"
        rows += [
            (f"{there}.branch1.{{p}}", f"{here}.downsample.0.{{p}}"),
            (f"{there}.branch1_bn.{{p}}", f"{here}.downsample.1.{{p}}"),
            (f"{there}.branch2.se.{{rest}}", f"{here}.se.{{rest}}"),
        ]
        for number, letter in enumerate("abc", 1):
            rows.append((f"{there}.branch2.{letter}.{{p}}", f"{here}.conv{number}.{{p}}"))
            rows.append((f"{there}.branch2.{letter}_bn.{{p}}", f"{here}.bn{number}.{{p}}"))
        beside = f"s{at + 1}.pathway{pathway}_nonlocal{{b}}"
        rows += [(f"{beside}.{theirs}.{{p}}", f"{here}.non_local.{own}.{{p}}") for theirs, own in IN_NON_LOCAL]
    return tuple(rows)


def _stem(pathway: int, ours: str) -> tuple[Row, ...]:
    there = f"s1.pathway{pathway}_stem"
    return ((f"{there}.conv.{{p}}", f"{ours}conv1.{{p}}"), (f"{there}.bn.{{p}}", f"{ours}bn1.{{p}}"))


LATERALS: tuple[Row, ...] = tuple(
    (f"s{at + 1}_fuse.{theirs}.{{p}}", f"trunk.laterals.{at}.{own}.{{p}}")
    for at in range(4)
    for theirs, own in (("conv_f2s", "conv"), ("bn", "bn"))
)
X3D_ENDS: tuple[Row, ...] = (
    ("s1.pathway0_stem.conv_xy.{p}", "trunk.conv1_xy.{p}"),
    ("s1.pathway0_stem.conv.{p}", "trunk.conv1_t.{p}"),
    ("s1.pathway0_stem.bn.{p}", "trunk.bn1.{p}"),
    ("head.conv_5.{p}", "trunk.conv5.{p}"),
    ("head.conv_5_bn.{p}", "trunk.bn5.{p}"),
    ("head.lin_5.{p}", "head.fc1.{p}"),
)
HEAD: Row = ("head.projection.{p}", "head.fc.{p}")


def without_bias(state: State) -> State:
    """A non-local block's last convolution has a bias there: here its norm's mean is less by it, which is the same."""
    mended = {key: value for key, value in state.items() if not key.endswith(".non_local.out.bias")}
    for key in state.keys() - mended.keys():
        mean = key.replace(".out.bias", ".bn.running_mean")
        if mean in mended:
            mended[mean] = mended[mean] - state[key]
    return mended


def _said(contents: Contents) -> dict[str, Any]:
    return {"mean": MEAN, "std": STD, **pyslowfast_said(pyslowfast_config(contents.beside.get("cfg")))}


def _setting(contents: Contents, section: str, key: str) -> Any:
    """A value of the config in the file; None where it says nothing."""
    found = pyslowfast_config(contents.beside.get("cfg")).get(section)
    return found.get(key) if isinstance(found, Mapping) else None


def _of_one_pathway(contents: Contents) -> Mapping[str, Any]:
    """I3D and C2D stride no frames in the stem, and their "nopool" variants none at all; others fit by their shapes."""
    size, stem = ONE_PATHWAY.size(contents.state), contents.state[STEM]
    through = contents.state["s4.pathway0_res0.branch2.a.weight"].shape[2]
    if size.depth != 50 or (stem.shape[2] == 1 and through != 1):
        return _said(contents)
    arch = str(_setting(contents, "MODEL", "ARCH") or contents.path.stem).lower()
    pooled = "nopool" not in arch and arch != "2d"
    args = size.args | ({} if pooled else {"halve": False})
    name = "c2d_r50"
    if stem.shape[2] > 1:
        name, args = "i3d_r50", args | {"stem_stride": 1}
    if any("_nonlocal" in key for key in contents.state):
        dot = _setting(contents, "NONLOCAL", "INSTANTIATION") == "dot_product"
        name, args = f"i3d_nl_{'dot' if dot else 'embedded'}", args | {"pool_first": True}
    sampling = {"clip_len": 8, "frame_interval": 8, "num_segments": 1}
    return {"sampling": sampling, **_said(contents), "model": name, "model_args": args}


def _of_pathways(contents: Contents) -> Mapping[str, Any]:
    """The ratio of the frames is the config's, else that of "4x16" (8) or "8x8" (4) in the file's name."""
    told = pathways_of(TWO_PATHWAYS, contents, "s1_fuse.conv_f2s.weight")
    alpha = _setting(contents, "SLOWFAST", "ALPHA")
    named = two_rates(contents.path)
    args = told["model_args"] | {"alpha": alpha if isinstance(alpha, int) else named.alpha}
    return {"sampling": named.sampling._asdict(), **_said(contents), **told, "model_args": args}


def _of_x3d(contents: Contents) -> Mapping[str, Any]:
    width = contents.state["s1.pathway0_stem.bn.weight"].shape[0]
    return {**_said(contents), **named_x3d(contents.path, len(contents.state), width, short_cut_norm=True)}


def _holding(wanted: str, *beside: str) -> Callable[[Collection[str]], bool]:
    return lambda keys: wanted in keys and not any(key in keys for key in beside)


STEM, FAST, XY = (f"s1.pathway{part}.weight" for part in ("0_stem.conv", "1_stem.conv", "0_stem.conv_xy"))
ONE_PATHWAY = Layout(
    NAME, _holding(STEM, FAST, XY), (*_stem(0, "trunk."), *_blocks(0, "trunk."), HEAD), _of_one_pathway,
    WRITES=("slowonly_r50", "slowonly_r101", "i3d_r50", "c2d_r50"), change=without_bias,
)  # fmt: skip
TWO_PATHWAYS = Layout(
    NAME, _holding(FAST),
    (*_stem(0, "trunk.slow."), *_stem(1, "trunk.fast."), *_blocks(0, "trunk.slow."), *_blocks(1, "trunk.fast."),
     *LATERALS, HEAD), _of_pathways, WRITES=("slowfast_r50", "slowfast_r101"),
)  # fmt: skip
X3D = Layout(
    NAME, _holding(XY), (*X3D_ENDS, *_blocks(0, "trunk."), HEAD), _of_x3d, WRITES=("x3d",),
    change=adapt, restore=unadapt,
)  # fmt: skip

LAYOUTS = (TWO_PATHWAYS, X3D, ONE_PATHWAY)
