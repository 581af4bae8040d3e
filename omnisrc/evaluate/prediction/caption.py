"""Words on a picture: a dark band with lines of text, and a bar as long as the score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Frame = NDArray[np.uint8]  # (H, W, 3)

TEXT, BEST, BAR, BAND = (225, 225, 225), (255, 255, 255), (86, 156, 214), 0.62
"""Colours, and how much of the picture the band takes away."""


@cache
def font(size: int) -> Any:
    """DejaVu Sans, which comes with matplotlib and has Latin, Greek, Cyrillic and Arabic letters."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def caption(frame: Frame, lines: Sequence[tuple[str, float | None]], size: int = 0) -> Frame:
    """The picture (H, W, 3) with a line of text for each (text, score from 0 to 1 or None), the first one brighter.

    `size` is that of the letters, by default a twentieth of the short side. Text that is too wide is cut short.
    """
    height, width = frame.shape[:2]
    size = size or max(9, min(height, width) // 20)
    step, edge = round(size * 1.45), size // 2
    band = min(height, step * len(lines) + edge)
    first = height - band
    out = frame.copy()
    out[first : first + band] = (out[first : first + band] * (1 - BAND)).astype(np.uint8)
    picture = Image.fromarray(out)
    pen = ImageDraw.Draw(picture)
    for number, (text, score) in enumerate(lines):
        y = first + edge // 2 + number * step
        room = width - 2 * edge
        if score is not None:
            number_text = f"{100 * score:.0f} %"
            wide = pen.textlength("100 %", font=font(size))
            pen.text((width - edge, y), number_text, fill=BEST if number == 0 else TEXT, font=font(size), anchor="ra")
            room -= round(wide) + edge
            below = y + step - max(2, size // 5)
            pen.rectangle((edge, below, edge + max(1, round((width - 2 * edge) * score)), below + size // 8), fill=BAR)
        pen.text((edge, y), fitted(pen, text, size, room), fill=BEST if number == 0 else TEXT, font=font(size))
    return np.asarray(picture)


def fitted(pen: ImageDraw.ImageDraw, text: str, size: int, room: int) -> str:
    """The text, or as much of it as fits into `room` pixels."""
    if pen.textlength(text, font=font(size)) <= room:
        return text
    while text and pen.textlength(text + "…", font=font(size)) > room:
        text = text[:-1]
    return text + "…"
