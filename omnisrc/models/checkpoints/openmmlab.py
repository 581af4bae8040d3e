"""What MMAction's and MMAction2's files say of themselves, or the table of released files says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.training_config import mmaction_said
from omnisrc.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from omnisrc.models.released import RELEASED, Sampling

NAMED_SAMPLING = re.compile(r"(?<![0-9a-z])(\d{1,2})x(\d{1,2})x(\d{1,2})(?![0-9a-z])")
"""clip_len x frame_interval x segments, as MMAction2 writes it in a file's name."""


def openmmlab_meta(contents: Contents) -> dict[str, Any]:
    """Scaling always; sampling by the table, the config or the name; class list, licence and source by the table."""
    meta: dict[str, Any] = {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    named = NAMED_SAMPLING.search(contents.path.name)
    if named:
        meta["sampling"] = Sampling(*(int(number) for number in named.groups()))._asdict()
    beside = contents.beside.get("meta")
    if isinstance(beside, Mapping):
        meta |= mmaction_said(beside.get("cfg") or beside.get("config"))
    classes = _classes(beside)
    if classes:
        meta["classes"] = classes
    for file in RELEASED:
        if contents.sha256.startswith(file.sha256):
            meta |= {"licence": file.licence, "source": file.url}
            meta |= {"class_list": file.class_list} if file.class_list else {}
            meta |= {"mean": list(file.scaling[0]), "std": list(file.scaling[1])} if file.scaling else {}
            meta["sampling"] = file.sampling._asdict()
    return meta


def _classes(meta: object) -> list[str]:
    """1.x: meta["dataset_meta"]["classes"]; 0.x: meta["CLASSES"]. Often absent."""
    if not isinstance(meta, Mapping):
        return []
    data_set = meta.get("dataset_meta")
    found = data_set.get("classes") if isinstance(data_set, Mapping) else meta.get("CLASSES")
    named = isinstance(found, list | tuple) and all(isinstance(name, str) for name in found)
    return list(found) if found and named else []
