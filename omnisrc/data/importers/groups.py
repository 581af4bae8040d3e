"""Which clips come from one recording, told from their file names.

Clips of one recording look so alike that a split between them measures memory, not recognition: of UCF101's clips in a
random validation split, 99 % have a clip of the same recording in train.
"""

from __future__ import annotations

import re

UCF101 = re.compile(r"v_(?P<name>\w+)_(?P<group>g\d+)_c\d+", re.IGNORECASE)
HMDB51 = re.compile(r"(?P<source>.+)_[hulf]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:goo|med|bad)_\d+", re.IGNORECASE)
KINETICS = re.compile(r"(?P<id>[\w-]{11})_\d{6}_\d{6}")


def group_of(stem: str, label: str) -> str:
    """The group of a clip by its file name (without suffix) and class.

    UCF101: the class and its gNN; HMDB51: the source, whose name ends in the class; Kinetics: the YouTube id, whatever
    the class. Any other clip is a group of its own within its class.
    """
    if match := UCF101.fullmatch(stem):
        return f"{label}/{match['group'].lower()}"
    if match := HMDB51.fullmatch(stem):
        return f"{label}/{match['source']}"
    if match := KINETICS.fullmatch(stem):
        return match["id"]
    return f"{label}/{stem}"
