"""A folder of transformers' video classifier in our words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.families.video_transformers import KINDS, Kind, assembled, filled_head, own_fields
from omnisrc.models.inputs import InputSpec
from omnisrc.models.pretrained.extra import transformers
from omnisrc.models.pretrained.folder import PretrainedFolder, open_folder
from omnisrc.models.pretrained.licence import licence_said
from omnisrc.models.pretrained.scaling import scaling_of
from omnisrc.models.pretrained.weights import filled
from omnisrc.models.trunks.tokens import Grid

HEADS = ("classifier.", "fc_norm.", "pooler.")
"""What begins the names of transformers' tensors that are the head's here."""


def read_video(path: Path) -> tuple[str, dict[str, torch.Tensor], dict[str, Any]]:
    """SHA-256, tensors under our names, and metadata as in CheckpointReport (with the licence) of a folder.

    A network that was only pretrained (VideoMAE, V-JEPA 2 without classes) is a trunk alone.

    Raises:
        UserError: transformers is not installed, the network is no video classifier that is known here, or damaged.
    """
    folder = open_folder(path)
    kinds = [kind for kind in KINDS if kind.model_type == folder.model_type]
    if not kinds:
        known = ", ".join(dict.fromkeys(kind.model_type for kind in KINDS))
        raise UserError(
            f"The folder {path} holds a {folder.model_type or 'network of no named kind'}, which is no recogniser;"
            f" those that can be read are {known} (clip, siglip and xclip serve as teachers of `omnisrc filter`)."
        )
    library = transformers(f"The network in {path}")
    model, whole = filled(getattr(library, kinds[0].classifier), folder, HEADS)
    kind = min(kinds, key=lambda kind: len(_changes(library, kind, model.config)))
    changes = _changes(library, kind, model.config)
    args = {"config": changes} if changes else {}
    recogniser = filled_head(model, assembled(model, InputSpec("3d", 1, 1, 1)))
    meta = {"model": kind.name, "model_args": args, **_input(folder, kind, recogniser.trunk.grid)}
    meta |= {"licence": licence_said(folder.model_type, folder.licence)}
    state = recogniser.state_dict()
    if not whole:
        return folder.sha256, {key: value for key, value in state.items() if key.startswith("trunk.")}, meta
    meta |= {"num_classes": recogniser.num_classes}
    classes = _classes(folder.config)
    meta |= {"classes": classes} if classes else {}
    return folder.sha256, state, meta


def _changes(library: Any, kind: Kind, config: Any) -> dict[str, Any]:
    """The fields of a configuration in which it differs from what `create_model` makes without being told."""
    usual = getattr(library, f"{kind.prefix}Config")(**kind.config).to_dict()
    found = config.to_dict()
    return {name: found[name] for name in sorted(own_fields(library, kind)) if found[name] != usual[name]}


def _input(folder: PretrainedFolder, kind: Kind, grid: Grid) -> dict[str, Any]:
    """The folder's scaling and sizes, and the sampling of the published weights, which folders do not say."""
    scaling = scaling_of(folder, grid.size)
    sampling = {"clip_len": grid.frames, "frame_interval": kind.frame_interval, "num_segments": 1}
    sampling |= {"crop_size": scaling.crop_size, "short_side": scaling.short_side}
    return {"mean": list(scaling.mean), "std": list(scaling.std), "sampling": sampling}


def _classes(config: Mapping[str, Any]) -> list[str]:
    """The class list in its order; empty where the folder only numbers its classes."""
    names = config.get("id2label") or {}
    listed = [str(names[key]) for key in sorted(names, key=int)]
    return [] if all(name == f"LABEL_{number}" for number, name in enumerate(listed)) else listed
