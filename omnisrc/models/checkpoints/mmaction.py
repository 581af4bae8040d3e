"""Legacy MMAction (2019-20), the framework of the paper's experiments: MMAction2's prefixes, torchvision's names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta

NAME = "mmaction"


def matches(keys: Collection[str]) -> bool:
    return "backbone.conv1.weight" in keys


def our_key(key: str) -> str | None:
    if key.startswith("cls_head.fc_cls."):
        return key.replace("cls_head.fc_cls.", "head.fc.")
    return key.replace("backbone.", "trunk.", 1)


def meta(contents: Contents) -> Mapping[str, Any]:
    return openmmlab_meta(contents)
