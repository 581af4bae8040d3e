"""How two lists of classes differ, in words."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3


def difference(theirs: Sequence[str], own: Sequence[str]) -> str:
    """Empty where the names and their order are the same.

    Else which names only one side has, or that only the order differs, with the first place where it does.
    """
    if list(theirs) == list(own):
        return ""
    only_theirs = [name for name in theirs if name not in set(own)]
    only_own = [name for name in own if name not in set(theirs)]
    if not only_theirs and not only_own and len(theirs) == len(own):
        at = next(index for index, (one, other) in enumerate(zip(theirs, own, strict=True)) if one != other)
        return f"the same names in another order, first at {at}: `{theirs[at]}` there, `{own[at]}` here"
    parts = [f"{_some(only_theirs)} only there"] if only_theirs else []
    parts += [f"{_some(only_own)} only here"] if only_own else []
    return " and ".join(parts) or f"{len(theirs)} names there, {len(own)} here"


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return f"{shown} and {rest} more are" if rest > 0 else f"{shown} {'is' if len(names) == 1 else 'are'}"
