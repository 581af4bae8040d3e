"""Which model a file's weights are, told from their names and shapes.

A model whose tensors are called otherwise, by what was measured once, is out of the question. Others are built on the
meta device, where tensors have shapes and no content, at most once a process. Most files say in their name what they
are: those models are tried first, those that need an optional package last.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.architecture import COUNTER
from omnisrc.models.create import FAMILIES, MODELS, create_model
from omnisrc.models.figures import figures, names_sum

Shape = tuple[int, ...]
Layout = Mapping[str, Shape]

CLASSES = 1009
"""Models are built with this many classes to see which sizes are the classes'; a prime that no layer is wide."""


@dataclass(frozen=True)
class Match:
    """A model whose every tensor has its name and shape in the file; `num_classes` is None for a trunk alone."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None

    def __str__(self) -> str:
        said = ", ".join(f"{key} {value}" for key, value in self.args.items())
        return f"{self.name} ({said})" if said else self.name


def shapes_of(state: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    """Names and shapes; the counters of batch norm, which converted files lack, are left out."""
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(COUNTER)}


def recognise(state: Mapping[str, torch.Tensor], hints: str = "", family: str = "") -> Match | None:
    """The first model that these weights fill; None if there is none.

    Models whose shapes are alike (a temporal shift has no weights) are told apart by `family`, the name's first part,
    where it is known, and else by `hints`, a text such as the file's name; else the table's order decides.
    """
    shapes = shapes_of(state)
    alone = bool(shapes) and not any(key.startswith("head.") for key in shapes)
    names = (name for name in in_order(hints) if not family or name.split("_")[0] == family)
    return next((match for name in names if (match := match_of(name, shapes, alone))), None)


def also_fits(state: Mapping[str, torch.Tensor], match: Match) -> list[str]:
    """The other models that these weights fill. Those of optional packages are left out, unless `match` is one: it
    takes long to build them."""
    shapes, extras = shapes_of(state), _needing_extras()
    alone = match.num_classes is None
    names = (name for name in in_order("") if name != match.name and (name not in extras or match.name in extras))
    return [name for name in names if match_of(name, shapes, alone)]


def nearest(state: Mapping[str, torch.Tensor]) -> str:
    """The model that shares most names and shapes with these weights; all models are built for the answer."""
    shapes = shapes_of(state).items()
    return max(in_order(""), key=lambda name: len(shapes & (layout(name) or {}).items()))


def in_order(hints: str) -> list[str]:
    """All models: those that the hints name before others, those of optional packages last."""
    text = hints.lower()

    def rank(name: str) -> tuple[bool, int]:
        first, *others = name.split("_")
        named = first in text
        return not named and name in _needing_extras(), -(2 * named + sum(part in text for part in others) * named)

    return sorted(MODELS, key=rank)


def match_of(name: str, shapes: Layout, trunk_alone: bool = False) -> Match | None:
    """`name` if its tensors have exactly these names and shapes, at whatever width and of whatever input."""
    if _otherwise_called(name, shapes, trunk_alone) or (published := layout(name)) is None:
        return None
    wanted = _trunk(published) if trunk_alone else published
    if wanted.keys() != shapes.keys():
        return None
    for args in _arguments(name, wanted, shapes):
        built = layout(name, **args)
        if built is None:  # it takes no such input
            continue
        fits, classes = _compare(_trunk(built) if trunk_alone else built, shapes)
        if fits:
            return Match(name, args, classes)
    return None


def _otherwise_called(name: str, shapes: Layout, trunk_alone: bool) -> bool:
    """Whether the file's tensors cannot be this model's, by their names."""
    sums = figures().get(name, {}).get("tensors")
    return sums is not None and names_sum(shapes) != sums["trunk" if trunk_alone else "all"]


@cache
def layout(name: str, **args: Any) -> Layout | None:
    """Names and shapes of a model with CLASSES classes; None where an optional package that it needs is not there."""
    try:
        with torch.device("meta"):
            return shapes_of(create_model(name, CLASSES, **args).state_dict())
    except UserError:
        return None


def _compare(wanted: Layout, shapes: Layout) -> tuple[bool, int | None]:
    """Whether all shapes agree but for the number of classes, and that number."""
    counts = set()
    for key, own in wanted.items():
        theirs = shapes[key]
        if len(own) != len(theirs):
            return False, None
        for here, there in zip(own, theirs, strict=True):
            if here % CLASSES == 0 and here > 0 and there % (here // CLASSES) == 0:
                counts.add(there // (here // CLASSES))  # OmniResNet's head has a layer of twice as many
            elif here != there:
                return False, None
    return len(counts) <= 1, next(iter(counts), None)


def _arguments(name: str, wanted: Layout, shapes: Layout) -> Iterable[dict[str, Any]]:
    """None, and those that shapes tell: `width` by most layers' outputs, of models whose constructor takes it, and flow
    by the inputs of the stem."""
    yield {}
    takes = inspect.signature(MODELS[name]).parameters
    first = next((key for key, shape in wanted.items() if len(shape) > 1), None)
    if first is None or len(shapes[first]) != len(wanted[first]):
        return
    args: dict[str, Any] = {}
    if "width" in takes:
        outputs = [(shapes[key], own) for key, own in wanted.items() if key.startswith("trunk.")]
        ratios = Counter(Fraction(theirs[0], own[0]) for theirs, own in outputs if theirs and own)
        width = takes["width"].default * (ratios.most_common(1)[0][0] if ratios else 1)
        if width.denominator == 1 and width >= 1 and width != takes["width"].default:
            args["width"] = int(width)
    if shapes[first][1] != wanted[first][1]:
        args |= {"modality": "flow", "in_channels": shapes[first][1]}
    if args:
        yield args


def _trunk(whole: Layout) -> dict[str, Shape]:
    return {key: shape for key, shape in whole.items() if key.startswith("trunk.")}


@cache
def _needing_extras() -> frozenset[str]:
    """Models of families that name an optional package of theirs as `EXTRA`."""
    return frozenset(name for family in FAMILIES if getattr(family, "EXTRA", "") for name in family.MODELS)
