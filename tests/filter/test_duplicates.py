import numpy as np

from omnisrc.filter.duplicates import drop_copies
from omnisrc.filter.rules import Reason, RuleSpec
from tests.data.test_near import flipped, random_hashes
from tests.filter.test_rules import candidates, judged


def found_with(hashes: list[np.ndarray], scores: list[float], *, clips: bool = False, blobs: list[int] | None = None):
    count = len(hashes)
    found = candidates(
        [0] * count, scores, [{0}] * count, clips=[clips] * count, packed_hashes=[h.tobytes() for h in hashes]
    )
    if blobs:
        object.__setattr__(found, "blobs", np.array(blobs))
        object.__setattr__(found, "licences", {blob: {None} for blob in blobs})
    return found, judged(found, RuleSpec())


def test_of_pictures_that_look_alike_the_best_score_stays() -> None:
    rng = np.random.default_rng(0)
    base = random_hashes(4)
    near = flipped(base[:1], 20, rng)
    found, verdicts = found_with([base[0], base[1], near[0], base[0], base[2]], [0.5, 0.4, 0.9, 0.6, 0.3])
    copies = drop_copies(found, verdicts, RuleSpec())
    assert list(verdicts.reasons) == [Reason.NEAR_DUPLICATE, None, None, Reason.NEAR_DUPLICATE, None]
    assert {(c.dropped, c.kept, c.bits) for c in copies} == {(0, 3, 0), (3, 2, 20)}


def test_what_is_dropped_is_a_copy_of_what_stays_not_of_what_was_dropped_itself() -> None:
    a = random_hashes(1)
    rng = np.random.default_rng(1)
    order = rng.permutation(256)
    bits = np.unpackbits(a, axis=1)[0]
    b, c = bits.copy(), bits.copy()
    b[order[:40]] ^= 1
    c[order[:80]] ^= 1  # 40 bits from b, 80 from a
    chain = [a[0], np.packbits(b), np.packbits(c)]
    found, verdicts = found_with(chain, [0.9, 0.8, 0.7])
    drop_copies(found, verdicts, RuleSpec())
    assert list(verdicts.reasons) == [None, Reason.NEAR_DUPLICATE, None]


def test_copies_are_looked_for_among_what_the_rule_keeps() -> None:
    base = random_hashes(1)
    found, verdicts = found_with([base[0], base[0]], [0.9, 0.5])
    verdicts.drop(np.array([True, False]), Reason.DISAGREE)
    assert drop_copies(found, verdicts, RuleSpec()) == []
    assert verdicts.reasons[1] is None


def test_clips_are_copies_when_the_shorter_is_found_in_the_other() -> None:
    frames = random_hashes(12)
    whole, part, fewer = frames[:8], frames[4:8], np.concatenate([frames[7:8], frames[8:12]])
    found, verdicts = found_with([whole, part, fewer], [0.5, 0.6, 0.4], clips=True, blobs=[1, 2, 3])
    copies = drop_copies(found, verdicts, RuleSpec())
    assert list(verdicts.reasons) == [Reason.NEAR_DUPLICATE, None, None]
    assert [(c.dropped, c.kept) for c in copies] == [(0, 1)]


def test_windows_of_one_video_are_not_copies_of_each_other() -> None:
    frames = random_hashes(4)
    found, verdicts = found_with([frames, frames], [0.5, 0.6], clips=True, blobs=[1, 1])
    assert drop_copies(found, verdicts, RuleSpec()) == []


def test_flat_pictures_are_no_copies_and_the_search_can_be_turned_off() -> None:
    black = np.zeros(32, np.uint8)
    found, verdicts = found_with([black, black], [0.5, 0.6])
    assert drop_copies(found, verdicts, RuleSpec()) == []
    same = random_hashes(1)[0]
    found, verdicts = found_with([same, same], [0.5, 0.6])
    assert drop_copies(found, verdicts, RuleSpec(near_duplicate_bits=-1)) == []
