"""`create_model`: one table of names, plain constructors."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.resnet import SLOWONLY, ResNet, initialise


def tsn(
    depth: int, num_classes: int, *, width: int = 64, dropout: float = 0.4, zero_init_gamma: bool = False
) -> Recogniser:
    """Temporal segment network (Wang et al., 2016): a 2-D trunk on each frame, the mean over all of them."""
    trunk = ResNet(depth, dims=2, width=width)
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("2d", clip_len=1, frame_interval=1, num_segments=3)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


def slowonly(
    depth: int, num_classes: int, *, width: int = 64, dropout: float = 0.5, zero_init_gamma: bool = False
) -> Recogniser:
    """The slow pathway alone (Feichtenhofer et al., 2019): time is seen in layer3 and layer4, and never strided."""
    trunk = ResNet(depth, dims=3, width=width, frames=SLOWONLY)
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("3d", clip_len=8, frame_interval=8, num_segments=1)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS: dict[str, Callable[..., Recogniser]] = {
    "tsn_r18": partial(tsn, 18),
    "tsn_r50": partial(tsn, 50),
    "tsn_r101": partial(tsn, 101),
    "slowonly_r18": partial(slowonly, 18),
    "slowonly_r50": partial(slowonly, 50),
    "slowonly_r101": partial(slowonly, 101),
}


def model_names() -> list[str]:
    return list(MODELS)


def create_model(name: str, num_classes: int, **args: Any) -> Recogniser:
    """A fresh recogniser. `args` are the family's: `width` (channels of the stem), `dropout`, `zero_init_gamma`.

    Raises UserError for an unknown name or argument, and for values that make no network.
    """
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}: {_meant(name, model_names())}")
    build = MODELS[name]
    known = [key for key, p in inspect.signature(build).parameters.items() if p.kind is p.KEYWORD_ONLY]
    for key in args:
        if key not in known:
            raise UserError(f"model {name} takes no argument {key!r}: {_meant(key, known)}")
    if num_classes < 1:
        raise UserError(f"model {name} needs at least one class, not {num_classes}")
    if args.get("width", 1) < 1:
        raise UserError(f"model {name} needs a width of at least 1, not {args['width']}")
    if not 0 <= args.get("dropout", 0.0) < 1:
        raise UserError(f"model {name} needs a dropout in [0, 1), not {args['dropout']}")
    model = build(num_classes, **args)
    model.name, model.args = name, args
    return model


def _meant(given: str, known: list[str]) -> str:
    near = [name for name in known if name.startswith(given)] or difflib.get_close_matches(given, known, n=3)
    return f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"
