import numpy as np
import pytest

from omnisrc.data.near import nearest, telling, twins, unpack
from omnisrc.media.phash import hamming, pdq
from tests.media_files import texture


def flipped(hashes: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    """Each hash with exactly `bits` of its bits turned over."""
    spread = np.unpackbits(hashes, axis=1)
    for row in spread:
        row[rng.choice(256, bits, replace=False)] ^= 1
    return np.packbits(spread, axis=1)


def random_hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32)).astype(np.uint8)


@pytest.mark.parametrize("bits", [0, 7, 15, 16, 31, 32, 80])
def test_twins_are_exactly_those_of_all_pairs_compared(bits: int) -> None:
    rng = np.random.default_rng(bits)
    base = random_hashes(150)
    hashes = np.concatenate([base] + [flipped(base[:30], n, rng) for n in (0, 1, 15, 16, 17, 30, 31, 32, 60)])
    apart = np.triu(hamming(hashes, hashes).astype(int) + 1, 1) - 1
    expected = {(i, j, apart[i, j]) for i, j in np.argwhere((apart >= 0) & (apart <= bits))}
    found = twins(hashes, bits)
    assert set(zip(found.left, found.right, found.bits, strict=True)) == expected
    assert len(found.left) == len(expected) >= 30


@pytest.mark.parametrize("bits", [31, 40])
def test_twins_are_found_in_a_large_set_too(bits: int) -> None:
    base = random_hashes(6000, seed=5)
    hashes = np.concatenate([base, flipped(base[:100], 30, np.random.default_rng(3))])
    found = twins(hashes, bits)
    assert found.left.tolist() == list(range(100)) and found.right.tolist() == list(range(6000, 6100))
    assert set(found.bits.tolist()) == {30}


def test_many_copies_of_one_picture_are_searched_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnisrc.data.near.CANDIDATES", 1000)
    hashes = np.repeat(random_hashes(1), 60, axis=0)
    assert len(twins(hashes, 31).left) == 60 * 59 // 2


@pytest.mark.parametrize("faiss", [True, False])
def test_nearest_finds_the_planted_hash_with_faiss_and_without(monkeypatch: pytest.MonkeyPatch, faiss: bool) -> None:
    monkeypatch.setattr("omnisrc.data.near.BLOCK", 640)
    if not faiss:
        monkeypatch.setattr("omnisrc.data.near._faiss_index", lambda hashes: None)
    base = random_hashes(2500)
    queries = np.concatenate([flipped(base[::10], 40, np.random.default_rng(1)), random_hashes(5000, seed=2)])
    rows, bits = nearest(queries, base, 90)
    assert (rows[:250] == np.arange(0, 2500, 10)).all() and (bits[:250] == 40).all()
    apart = hamming(queries[250:], base).min(axis=1)
    assert (bits[250:] == np.where(apart <= 90, apart, 257)).all()


def test_nothing_is_near_an_empty_set() -> None:
    rows, bits = nearest(random_hashes(3), random_hashes(0), 256)
    assert (bits == 257).all() and len(rows) == 3
    assert len(twins(random_hashes(0), 31).left) == 0


def test_flat_pictures_tell_nothing_and_textures_do() -> None:
    pictures = [np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8), texture(64, 64)]
    hashes, _ = unpack([pdq(picture)[0] for picture in pictures])
    assert telling(hashes).tolist() == [False, False, True]


def test_unpack_names_the_entry_of_each_hash() -> None:
    a, b, c = (bytes([n]) * 32 for n in (1, 2, 3))
    hashes, owners = unpack([a + b, None, b"", c])
    assert owners.tolist() == [0, 0, 3]
    assert hashes[:, 0].tolist() == [1, 2, 3]
