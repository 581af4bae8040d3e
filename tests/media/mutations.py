"""Broken copies of real files: each a function of a random generator, so that a seed gives the same file again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta"})
EXTREMES = (0, 1, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)


@dataclass(frozen=True)
class Piece:
    """A box, chunk or segment: bytes `start` to `stop`, with its length field of `width` bytes at `length_at`."""

    start: int
    stop: int
    length_at: int
    width: int
    order: str


def pieces(data: bytes) -> list[Piece]:
    """What a file is made of, by its kind; files of other kinds are made of lumps without a length."""
    if data.startswith(b"\x89PNG"):
        found = list(_png(data))
    elif data.startswith(b"RIFF"):
        found = list(_riff(data, 12, len(data)))
    elif data.startswith(b"\xff\xd8"):
        found = list(_jpeg(data))
    elif data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        found = list(_boxes(data, 0, len(data)))
    else:
        found = []
    step = max(16, len(data) // 40)
    return found or [Piece(at, min(at + step, len(data)), at, 1, "big") for at in range(0, len(data), step)]


def _png(data: bytes) -> Iterator[Piece]:
    at = 8
    while at + 12 <= len(data):
        stop = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield Piece(at, stop, at, 4, "big")
        at = stop


def _riff(data: bytes, at: int, end: int) -> Iterator[Piece]:
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield Piece(at, at + 8 + size, at + 4, 4, "little")
        if data[at : at + 4] == b"LIST":
            yield from _riff(data, at + 12, min(end, at + 8 + size))
        at += 8 + size + size % 2


def _jpeg(data: bytes) -> Iterator[Piece]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield Piece(at, stop, at + 2, 2, "big")
        if data[at + 1] == 0xDA:
            return
        at = stop


def _boxes(data: bytes, at: int, end: int) -> Iterator[Piece]:
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return
        yield Piece(at, min(at + size, end), at, 4, "big")
        if data[at + 4 : at + 8] in CONTAINERS:
            yield from _boxes(data, at + 8, min(at + size, end))
        at += size


def flip_bits(dice: Random, data: bytes, _: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(dice.choice((1, 3, 30, 300))):
        out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)
    return bytes(out)


def flip_in_the_front(dice: Random, data: bytes, _: bytes) -> bytes:
    """Where headers are."""
    out = bytearray(data)
    for _ in range(dice.randrange(1, 12)):
        out[dice.randrange(min(len(out), 700))] = dice.randrange(256)
    return bytes(out)


def remove_piece(dice: Random, data: bytes, _: bytes) -> bytes:
    piece = dice.choice(pieces(data))
    return data[: piece.start] + data[piece.stop :]


def repeat_piece(dice: Random, data: bytes, _: bytes) -> bytes:
    piece = dice.choice(pieces(data))
    times = dice.choice((2, 3, 50))
    return data[: piece.start] + data[piece.start : piece.stop][:20_000] * times + data[piece.stop :]


def swap_pieces(dice: Random, data: bytes, _: bytes) -> bytes:
    one, other = sorted((dice.choice(pieces(data)), dice.choice(pieces(data))), key=lambda piece: piece.start)
    if other.start < one.stop:
        return data[: one.start] + data[other.start : other.stop] + data[one.start :]
    middle = data[one.stop : other.start]
    return data[: one.start] + data[other.start : other.stop] + middle + data[one.start : one.stop] + data[other.stop :]


def lie_about_a_length(dice: Random, data: bytes, _: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        piece = dice.choice(pieces(data))
        told = int.from_bytes(out[piece.length_at : piece.length_at + piece.width], piece.order)  # type: ignore[arg-type]
        lie = dice.choice((*EXTREMES, told + 1, told - 1, told * 2, dice.randrange(2**32))) % 256**piece.width
        out[piece.length_at : piece.length_at + piece.width] = lie.to_bytes(piece.width, piece.order)  # type: ignore[arg-type]
    return bytes(out)


def put_extremes(dice: Random, data: bytes, _: bytes) -> bytes:
    """Counts, sizes, times and offsets of any format are numbers of 2, 4 or 8 bytes."""
    out = bytearray(data)
    piece = dice.choice(pieces(data))
    for _ in range(dice.randrange(1, 5)):
        width = dice.choice((2, 4, 8))
        at = dice.randrange(piece.start, min(piece.stop, piece.start + 200, len(out)))
        out[at : at + width] = (dice.choice(EXTREMES) % 256**width).to_bytes(width, dice.choice(("big", "little")))
    return bytes(out)


def cut(dice: Random, data: bytes, _: bytes) -> bytes:
    return data[: dice.randrange(len(data))]


def cut_out(dice: Random, data: bytes, _: bytes) -> bytes:
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.randrange(1, 4000) :]


def splice(dice: Random, data: bytes, other: bytes) -> bytes:
    return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def give_the_body_of_another(dice: Random, data: bytes, other: bytes) -> bytes:
    """The pieces of one file up to some place, then those of another."""
    mine, theirs = dice.choice(pieces(data)), dice.choice(pieces(other))
    return data[: mine.start] + other[theirs.start :]


MUTATIONS = (
    flip_bits, flip_in_the_front, remove_piece, repeat_piece, swap_pieces, lie_about_a_length, put_extremes, cut,
    cut_out, splice, give_the_body_of_another,
)  # fmt: skip


def mutant(seed: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """A name that tells how it was made, and the bytes: one to three mutations of one of `files`."""
    dice = Random(seed)
    name = dice.choice(sorted(files))
    data, made = files[name], [name]
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        mutation = dice.choice(MUTATIONS)
        data = mutation(dice, data, files[dice.choice(sorted(files))]) or b"\0"
        made.append(mutation.__name__)
    return f"{seed}: {' '.join(made)}", data
