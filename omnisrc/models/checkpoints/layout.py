"""How another project names the parts of one kind of network, as a table that is read both ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch

from omnisrc.models.checkpoints.container import Contents

State = dict[str, torch.Tensor]
Row = tuple[str, str]
"""(their name, our name), with the same placeholders on both sides."""

PLACEHOLDERS = {
    "at": r"(?:layer\d\.\d+\.)?",  # a block, or the stem
    "l": r"\d",  # layer
    "b": r"\d+",  # block
    "even": r"\d*[02468]",  # block with an even number
    "k": r"\d",  # convolution of a block
    "n": r"\d",  # lateral connection
    "h": r"[stqkv]",  # half of a factorised convolution (space, time), or query, key, value
    "way": r"slow|fast",  # pathway
    "p": r"\w+",  # parameter or buffer
    "rest": r".+",
}


class Size(NamedTuple):
    """Of a residual network."""

    depth: int
    width: int

    @property
    def args(self) -> dict[str, Any]:
        """For `create_model`, where the width is not the published one."""
        return {} if self.width == 64 else {"width": self.width}


@dataclass
class Layout:
    """One naming. Keys that no row knows keep their name, and so turn up as unexpected.

    sign: whether a file with these keys is of this layout.
    about: what the file or its format says of itself, as `CheckpointReport.meta`.
    trunk: their prefix of the trunk, which files of a trunk alone may lack.
    WRITES: how the names of the models begin that are written so; the longest beginning decides between layouts.
    change, restore: what is done to tensors under our names that differ by more than their names, and back.
    """

    NAME: str
    sign: Callable[[Collection[str]], bool]
    rows: Sequence[Row]
    about: Callable[[Contents], Mapping[str, Any]]
    trunk: str = ""
    WRITES: tuple[str, ...] = ()
    change: Callable[[State], State] = dict
    restore: Callable[[State], State] = dict

    def matches(self, keys: Collection[str]) -> bool:
        return self.sign(keys)

    def our_key(self, key: str) -> str | None:
        """None for what is no part of a recogniser."""
        if key.startswith("data_preprocessor."):
            return None
        if not key.startswith((self.trunk, "cls_head.")):
            key = self.trunk + key
        return renamed(key, self.rows)

    def their_key(self, key: str) -> str:
        return renamed(key, [(ours, theirs) for theirs, ours in self.rows])

    def adapt(self, state: State) -> State:
        return self.change(state)

    def unadapt(self, state: State) -> State:
        return self.restore(state)

    def meta(self, contents: Contents) -> Mapping[str, Any]:
        return self.about(contents)

    def size(self, state: Mapping[str, torch.Tensor], trunk: str = "trunk.") -> Size:
        """Of the network under our prefix `trunk` in a file's tensors."""
        ours = {self.our_key(key): value for key, value in state.items()}
        first = re.compile(re.escape(trunk) + r"(layer\d\.\d+)\.bn1\.weight")
        blocks = sum(1 for key in ours if key and first.fullmatch(key))
        convolutions = 3 if f"{trunk}layer1.0.bn3.weight" in ours else 2
        return Size(blocks * convolutions + 2, ours[f"{trunk}bn1.weight"].shape[0])


def renamed(key: str, rows: Sequence[Row]) -> str:
    """`key` by the first row whose left side it is, or as it is."""
    for left, right in rows:
        found = _pattern(left).fullmatch(key)
        if found:
            return right.format(**found.groupdict())
    return key


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    named = (f"(?P<{part}>{PLACEHOLDERS[part]})" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile("".join(named))
