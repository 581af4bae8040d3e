"""What pictures are compared by: PDQ hashes of web samples, and of frames of the target with their parts.

A hash of a target frame is stored with those of its parts: a copy that was cut out of a frame is found by the hash of
about the same part. A web picture has the hash of the whole and, where it has a plain
border (letterbox bars, a frame), that of what lies inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omnisrc.media.phash import CROPS, HASH_BYTES, Rgb, crops_pdq, hamming, pdq

PER_FRAME = len(CROPS) + 6
"""Hashes of one target frame: those of `crops_pdq` (crops, the mirrored whole, three squares) and two strips."""
WHOLE = (0, len(CROPS))
"""Which of them are of the whole frame."""
STRIP = 3 / 4  # of the height: 16:9 out of 4:3; of the width: 4:3 out of 16:9
SPREAD_BITS = 16
PLAIN = 10.0
LEAST_BORDER = 0.02
MOST_BORDER = 0.6


def picture_hashes(rgb: Rgb) -> bytes:
    """The hash of a web picture (H, W, 3), then that of its inside where it has a plain border."""
    inside = inside_border(rgb)
    return pdq(rgb)[0] + (b"" if inside is None else pdq(inside)[0])


def frame_hashes(frames: list[Rgb], most: int) -> bytes:
    """Hashes of at most `most` frames, whole."""
    hashes = [pdq(frame)[0] for frame in frames]
    return b"".join(hashes[number] for number in spread_frames(_rows(hashes), most))


def scored_hashes(frames: list[Rgb], most: int) -> bytes:
    """Hashes of at most `most` frames and of their parts: PER_FRAME x 32 bytes a frame."""
    chosen = spread_frames(_rows([pdq(frame)[0] for frame in frames]), most)
    return b"".join(joined for number in chosen for joined in [*crops_pdq(frames[number]), *_strips(frames[number])])


def _strips(rgb: Rgb) -> list[bytes]:
    height, width = rgb.shape[:2]
    top, left = round(height * (1 - STRIP) / 2), round(width * (1 - STRIP) / 2)
    parts = (rgb[top : height - top], rgb[:, left : width - left])
    return [pdq(np.ascontiguousarray(part))[0] for part in parts]


def _rows(hashes: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)


def spread_frames(hashes: NDArray[np.uint8], most: int, bits: int = SPREAD_BITS) -> list[int]:
    """Numbers of frames (of N hashes in time order) so that every frame looks like the chosen one before it.

    A frame is chosen when it is more than `bits` from the last chosen one, so a still scene takes one hash and a fast
    one many. Where that would be more than `most`, the step is widened. Over JHMDB's test videos one frame in 2.3 is
    chosen at 16 bits, and every copy of any frame is then found within 32.
    """
    while True:
        chosen: list[int] = []
        for number in range(len(hashes)):
            if not chosen or hamming(hashes[chosen[-1] : chosen[-1] + 1], hashes[number : number + 1])[0, 0] > bits:
                chosen.append(number)
        if len(chosen) <= most:
            return chosen
        bits += 4
        if bits > 128:
            return sorted({round(place) for place in np.linspace(0, len(hashes) - 1, most)})


def inside_border(rgb: Rgb) -> Rgb | None:
    """What a plain border surrounds; None where there is no border worth the name, or little else.

    A border is rows (columns) at an edge that hold one tone and all the same: black bars, a white frame.
    """
    luma = rgb.astype(np.float32).mean(axis=2)
    top, bottom = _plain_edges(luma)
    inner = luma[top : len(luma) - bottom]
    left, right = _plain_edges(inner.T) if len(inner) else (0, 0)
    height, width = luma.shape
    if max(top, bottom) < LEAST_BORDER * height and max(left, right) < LEAST_BORDER * width:
        return None
    if top + bottom > MOST_BORDER * height or left + right > MOST_BORDER * width:
        return None
    return np.ascontiguousarray(rgb[top : height - bottom, left : width - right])


def _plain_edges(luma: NDArray[np.float32]) -> tuple[int, int]:
    """How many rows at the top and at the bottom have one tone; one more is taken, for compression blurs the edge."""
    level, spread = luma.mean(axis=1), luma.std(axis=1)
    counts = []
    for order in (slice(None), slice(None, None, -1)):
        plain = (spread[order] < PLAIN) & (np.abs(level[order] - level[order][0]) < PLAIN)
        count = len(plain) if plain.all() else int(plain.argmin())
        counts.append(min(len(plain), count + 1) if count else 0)
    return counts[0], counts[1]
