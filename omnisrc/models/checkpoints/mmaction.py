"""Legacy MMAction (2019-20), the framework of the paper's experiments: MMAction2's prefixes, torchvision's names."""

from __future__ import annotations

from collections.abc import Collection

from omnisrc.models.checkpoints.layout import Layout
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta

NAME = "mmaction"


def _sign(keys: Collection[str]) -> bool:
    return "backbone.conv1.weight" in keys


LAYOUT = Layout(
    NAME, _sign, (("backbone.{rest}", "trunk.{rest}"), ("cls_head.fc_cls.{p}", "head.fc.{p}")), openmmlab_meta
)
