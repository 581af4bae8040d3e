"""`create_model`: one table of names, plain constructors."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.families import (
    c3d,
    csn,
    frames,
    i3d,
    mvit,
    omni,
    r2plus1d,
    slowfast,
    slowonly,
    torchvision_video,
    tsm,
    tsn,
    tsn_timm,
    tsn_trunks,
    video_transformers,
    x3d,
)
from omnisrc.models.heads.several import several
from omnisrc.models.inputs import Modality
from omnisrc.models.modality import see_flow
from omnisrc.models.recogniser import Recogniser

FAMILIES = (
    tsn,
    slowonly,
    tsm,
    i3d,
    r2plus1d,
    csn,
    slowfast,
    omni,
    x3d,
    c3d,
    frames,
    tsn_trunks,
    tsn_timm,
    torchvision_video,
    mvit,
    video_transformers,
)
"""Modules with a table `MODELS` of name -> constructor(num_classes, *, family's arguments)."""

MODELS: dict[str, Callable[..., Recogniser]] = {
    name: build for family in FAMILIES for name, build in family.MODELS.items()
}


def model_names() -> list[str]:
    return list(MODELS)


def create_model(
    name: str,
    num_classes: int,
    *,
    modality: Modality | None = None,
    in_channels: int = 0,
    heads: Mapping[str, int] | None = None,
    **args: Any,
) -> Recogniser:
    """A fresh recogniser. `args` are the family's: `width` (channels of the stem), `dropout`, `zero_init_gamma`.

    `tsn_timm.convnext_tiny` is short for `tsn_timm` with `trunk="convnext_tiny"`.
    `modality="flow"` (or another number of `in_channels` than 3) gives one of optical flow; see
    `omnisrc.models.modality.see_flow`. `heads={"verb": 97, "noun": 300}` gives one head for each class list, the first
    of which has `num_classes`; it answers with a dict of logits (`omnisrc.models.heads.several`).

    Raises UserError for an unknown name or argument, and for values that make no network.
    """
    name, dot, trunk = name.partition(".")
    if dot:
        args = {"trunk": trunk, **args}
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}: {_model_meant(name)}")
    build = MODELS[name]
    defaults = inspect.signature(build).parameters
    known = [key for key, parameter in defaults.items() if parameter.kind is parameter.KEYWORD_ONLY]
    for key in args:
        if key not in known:
            raise UserError(f"model {name} takes no argument {key!r}: {_meant(key, known)}")
        if not _alike(args[key], defaults[key].default):
            raise UserError(f"model {name} needs another {key} than {args[key]!r}, such as {defaults[key].default!r}")
    if num_classes < 1:
        raise UserError(f"model {name} needs at least one class, not {num_classes}")
    if args.get("width", 1) < 1:
        raise UserError(f"model {name} needs a width of at least 1, not {args['width']}")
    if not 0 <= args.get("dropout", 0.0) < 1:
        raise UserError(f"model {name} needs a dropout in [0, 1), not {args['dropout']}")
    if modality not in (None, "rgb", "flow"):
        raise UserError(f"model {name} has no modality {modality!r}: {_meant(str(modality), ['rgb', 'flow'])}")
    if modality == "rgb" and in_channels not in (0, 3):
        raise UserError(f"model {name} sees RGB through 3 channels, not in_channels={in_channels}")
    if heads and (min(heads.values()) < 1 or next(iter(heads.values())) != num_classes):
        raise UserError(f"model {name} needs heads of at least one class, the first of {num_classes}, not {heads}")
    try:
        model = build(num_classes, **args)
    except RuntimeError as error:
        raise UserError(f"model {name} cannot be built with {args}: {str(error).splitlines()[0]}") from error
    model.name, model.args = name, args
    if heads:
        model.head = several(model.head, heads, name)
        model.args = {**model.args, "heads": dict(heads)}
    if modality == "flow" or in_channels not in (0, 3):
        see_flow(model, in_channels)
        model.args = {**model.args, "modality": "flow", "in_channels": model.input.channels}
    return model


def _alike(value: object, default: object) -> bool:
    """Whether a value is of the kind of an argument's default: a number, a count, a switch or a word."""
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    if isinstance(default, int | float):
        return isinstance(value, int if isinstance(default, int) else int | float) and not isinstance(value, bool)
    return True


def _model_meant(given: str) -> str:
    near = _near(given.lower(), model_names())
    if near:
        return f"did you mean {', '.join(near)}?"
    family, _, trunk = given.partition("_")
    if family == "tsn" and trunk:
        return f"tsn_torchvision.{trunk} and tsn_timm.{trunk} take the image networks of those libraries"
    return "`omnisrc models list` shows all names"


def _meant(given: str, known: list[str]) -> str:
    near = _near(given, known)
    return f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"


def _near(given: str, known: list[str]) -> list[str]:
    return [name for name in known if name.startswith(given)] or difflib.get_close_matches(given, known, n=3)
