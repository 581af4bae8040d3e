"""MMAction2 0.x and 1.x: a convolution and its norm sit in one ConvModule. Also trunk-only files, without prefix.

One layout a kind of network; `LAYOUTS` are asked in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import Layout, Row
from omnisrc.models.checkpoints.openmmlab import NAMED_SAMPLING, openmmlab_meta
from omnisrc.models.checkpoints.pytorchvideo_x3d import named_x3d

NAME = "mmaction2"

VMZ_MEAN, VMZ_STD = [110.2008, 100.63983, 95.99475], [58.14765, 56.46975, 55.332195]
"""Of the CSN files that were ported from Facebook's VMZ: those from scratch and from Sports-1M."""
VMZ = re.compile(r"csn_from_scratch_r\d+_32x2|csn_r\d+_32x2x1-180e|sports1m")

HEAD: Row = ("cls_head.fc_cls.{p}", "head.fc.{p}")
RESNET: tuple[Row, ...] = (
    ("backbone.{at}conv{k}.conv.{p}", "trunk.{at}conv{k}.{p}"),
    ("backbone.{at}conv{k}.bn.{p}", "trunk.{at}bn{k}.{p}"),
    ("backbone.{at}downsample.conv.{p}", "trunk.{at}downsample.0.{p}"),
    ("backbone.{at}downsample.bn.{p}", "trunk.{at}downsample.1.{p}"),
    ("backbone.{at}non_local_block.g.0.conv.{p}", "trunk.{at}non_local.g.{p}"),
    ("backbone.{at}non_local_block.theta.conv.{p}", "trunk.{at}non_local.theta.{p}"),
    ("backbone.{at}non_local_block.phi.0.conv.{p}", "trunk.{at}non_local.phi.{p}"),
    ("backbone.{at}non_local_block.conv_out.conv.{p}", "trunk.{at}non_local.out.{p}"),
    ("backbone.{at}non_local_block.conv_out.bn.{p}", "trunk.{at}non_local.bn.{p}"),
    HEAD,
)
SHIFTED: Row = ("backbone.layer{l}.{b}.conv1.conv.net.{p}", "trunk.layer{l}.{b}.conv1.{p}")
SHIFTED_DEEP: Row = ("backbone.layer{l}.{even}.conv1.conv.net.{p}", "trunk.layer{l}.{even}.conv1.{p}")
DEPTHWISE: tuple[Row, ...] = (
    ("backbone.{at}conv2.0.conv.{p}", "trunk.{at}conv2.{p}"),
    ("backbone.{at}conv2.0.bn.{p}", "trunk.{at}bn2.{p}"),
)
SEPARATED: tuple[Row, ...] = (
    ("backbone.{at}conv2.0.conv.{p}", "trunk.{at}conv2.0.{p}"),
    ("backbone.{at}conv2.0.bn.{p}", "trunk.{at}conv2.1.{p}"),
    ("backbone.{at}conv2.1.conv.{p}", "trunk.{at}conv2.2.{p}"),
    ("backbone.{at}conv2.1.bn.{p}", "trunk.{at}bn2.{p}"),
)
FACTORISED: tuple[Row, ...] = (
    ("backbone.{at}conv{k}.conv.conv_{h}.{p}", "trunk.{at}conv{k}.conv_{h}.{p}"),
    ("backbone.{at}conv{k}.conv.bn_s.{p}", "trunk.{at}conv{k}.bn.{p}"),
    ("backbone.{at}downsample.conv.conv_{h}.{p}", "trunk.{at}downsample.0.conv_{h}.{p}"),
    ("backbone.{at}downsample.conv.bn_s.{p}", "trunk.{at}downsample.0.bn.{p}"),
)
PATHWAYS: tuple[Row, ...] = (
    ("backbone.slow_path.conv1_lateral.conv.{p}", "trunk.laterals.0.conv.{p}"),
    ("backbone.slow_path.conv1_lateral.bn.{p}", "trunk.laterals.0.bn.{p}"),
    ("backbone.slow_path.layer{n}_lateral.conv.{p}", "trunk.laterals.{n}.conv.{p}"),
    ("backbone.slow_path.layer{n}_lateral.bn.{p}", "trunk.laterals.{n}.bn.{p}"),
    *(
        (theirs.replace("backbone.", "backbone.{way}_path."), ours.replace("trunk.", "trunk.{way}."))
        for theirs, ours in RESNET
    ),
)
EXPANDED: tuple[Row, ...] = (
    ("backbone.conv1_s.conv.{p}", "trunk.conv1_xy.{p}"),
    ("backbone.conv1_t.conv.{p}", "trunk.conv1_t.{p}"),
    ("backbone.conv1_t.bn.{p}", "trunk.bn1.{p}"),
    ("backbone.{at}se_module.{rest}", "trunk.{at}se.{rest}"),
    ("cls_head.fc1.{p}", "head.fc1.{p}"),
    ("cls_head.fc2.{p}", "head.fc.{p}"),
)
PER_SOURCE: tuple[Row, ...] = (
    ("backbone.{rest}", "trunk.{rest}"),
    ("cls_head.fc2d.2.{p}", "head.image_bn.{p}"),
    ("cls_head.fc2d.4.{p}", "head.image_fc.{p}"),
    ("cls_head.fc3d.2.{p}", "head.hidden.{p}"),
    ("cls_head.fc3d.3.{p}", "head.bn.{p}"),
    ("cls_head.fc3d.6.{p}", "head.fc.{p}"),
)


def _holding(part: str) -> Callable[[Collection[str]], bool]:
    """Whether the keys are MMAction2's, and one has `part`."""

    def sign(keys: Collection[str]) -> bool:
        return any(_STEM.fullmatch(key) for key in keys) and any(part in key for key in keys)

    return sign


PLAIN = ("tsn_r", "slowonly_r", "i3d_r")
_STEM = re.compile(r"(backbone\.)?((slow|fast)_path\.)?conv1\.conv\.(conv_s\.)?weight")


def _expanded(keys: Collection[str]) -> bool:
    return "backbone.conv1_s.conv.weight" in keys or "conv1_s.conv.weight" in keys


def _of_shifted(contents: Contents) -> Mapping[str, Any]:
    """TSM by its shifts; "1x1x8" are eight segments spread over the video, in one view, "dense" ones lie 8 apart."""
    size = SHIFT.size(contents.state)
    meta = dict(openmmlab_meta(contents)) | {"model": f"tsm_r{size.depth}", "model_args": size.args}
    named = NAMED_SAMPLING.search(contents.path.name)
    if named:
        interval = 8 if "dense" in contents.path.name else 0
        meta["sampling"] = {"clip_len": int(named[3]), "frame_interval": interval, "num_segments": 1}
    return meta


def _of_separated(contents: Contents) -> Mapping[str, Any]:
    meta = dict(openmmlab_meta(contents))
    return meta | ({"mean": VMZ_MEAN, "std": VMZ_STD} if VMZ.search(contents.path.name) else {})


def _of_non_local(contents: Contents) -> Mapping[str, Any]:
    """Dot product and embedded Gaussian have the same weights: the file's name tells them apart."""
    name = contents.path.name
    kind = (
        "gauss" if not any(".theta." in key for key in contents.state) else "embedded" if "gaussian" in name else "dot"
    )
    args = RESNET_LAYOUT.size(contents.state).args
    return dict(openmmlab_meta(contents)) | {"model": f"i3d_nl_{kind}", "model_args": args}


def _of_pathways(contents: Contents) -> Mapping[str, Any]:
    """The names say 4x16x1 or 8x8x1 of the slow pathway's frames; of the fast one's there are always 32, 2 apart."""
    slow, fast = (TWO_PATHWAYS.size(contents.state, f"trunk.{way}.") for way in ("slow", "fast"))
    lateral = next(key for key in contents.state if key.endswith("conv1_lateral.conv.weight"))
    named = NAMED_SAMPLING.search(contents.path.name)
    args = slow.args | {
        "alpha": 32 // int(named[1]) if named else 4,
        "lateral_kernel": contents.state[lateral].shape[2],
        "lateral_norm": any("conv1_lateral.bn." in key for key in contents.state),
        "slow_frames": "stride",
        "order": "fast-slow",
    }
    depths = f"r{slow.depth}" if slow.depth == fast.depth else f"r{slow.depth}_r{fast.depth}"
    sampling = {"clip_len": 32, "frame_interval": 2, "num_segments": 1}
    return dict(openmmlab_meta(contents)) | {"model": f"slowfast_{depths}", "model_args": args, "sampling": sampling}


def _of_per_source(contents: Contents) -> Mapping[str, Any]:
    size = OMNI.size(contents.state)
    stills, clips = (contents.state[f"cls_head.{layer}.bias"].shape[0] for layer in ("fc2d.4", "fc3d.6"))
    args = size.args | ({} if stills == clips else {"image_classes": stills})
    return dict(openmmlab_meta(contents)) | {"model": f"omni_r{size.depth}", "model_args": args}


def _of_expanded(contents: Contents) -> Mapping[str, Any]:
    """X3D was converted from PySlowFast, and so scaled; its std is rounded."""
    width = next(value for key, value in contents.state.items() if key.endswith("conv1_s.conv.weight")).shape[0]
    scaling = {"mean": [114.75] * 3, "std": [57.38] * 3}
    return (
        dict(openmmlab_meta(contents))
        | scaling
        | named_x3d(contents.path, len(contents.state), width, short_cut_norm=True)
    )


SHIFT = Layout(NAME, _holding(".conv1.conv.net."), (SHIFTED, *RESNET), _of_shifted, "backbone.", ("tsm_",))
SHIFT_DEEP = Layout(
    NAME, _holding(".layer3.22.conv1.conv.net."), (SHIFTED_DEEP, *RESNET), _of_shifted, "backbone.", ("tsm_r101",)
)
TWO_PATHWAYS = Layout(NAME, _holding("slow_path."), PATHWAYS, _of_pathways, "backbone.", ("slowfast",))
IPCSN = Layout(NAME, _holding(".conv2.1.conv."), (*SEPARATED, *RESNET), _of_separated, "backbone.", ("ipcsn",))
IRCSN = Layout(NAME, _holding(".conv2.0.conv."), (*DEPTHWISE, *RESNET), _of_separated, "backbone.", ("ircsn",))
R2PLUS1D = Layout(
    NAME, _holding("conv1.conv.conv_s."), (*FACTORISED, *RESNET), openmmlab_meta, "backbone.", ("r2plus1d_r",)
)
NON_LOCAL = Layout(NAME, _holding(".non_local_block."), RESNET, _of_non_local, "backbone.", ("i3d_nl",))
RESNET_LAYOUT = Layout(NAME, _holding("conv1.conv.weight"), RESNET, openmmlab_meta, "backbone.", PLAIN)
OMNI = Layout(NAME, lambda keys: "cls_head.fc3d.6.weight" in keys, PER_SOURCE, _of_per_source, "backbone.", ("omni",))
X3D = Layout(NAME, _expanded, (*EXPANDED, *RESNET), _of_expanded, "backbone.", ("x3d",))

LAYOUTS = (X3D, SHIFT_DEEP, SHIFT, TWO_PATHWAYS, IPCSN, IRCSN, R2PLUS1D, NON_LOCAL, RESNET_LAYOUT, OMNI)

matches, our_key, their_key, meta = (
    RESNET_LAYOUT.matches,
    RESNET_LAYOUT.our_key,
    RESNET_LAYOUT.their_key,
    RESNET_LAYOUT.meta,
)
"""Of the layout of most networks."""
