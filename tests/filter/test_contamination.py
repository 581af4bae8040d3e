from dataclasses import replace

import numpy as np

from db.models import TargetItem
from omnisrc.data.near import nearest
from omnisrc.filter import contamination
from omnisrc.filter.contamination import compare, load_nearest, load_scored_items, safe_bits, save_nearest
from omnisrc.filter.rules import RuleSpec
from omnisrc.filter.select import within_safe_bits
from omnisrc.study import Study
from tests.data.test_near import flipped, random_hashes
from tests.filter.test_rules import candidates
from tests.filter.web import asked_classes


def target(study: Study, items: list[tuple[str, str, bytes | None]]):
    """Target items of (split, state, hashes), read back as scored items."""

    def fill(session):
        web = asked_classes(session)
        session.add_all(
            TargetItem(
                class_list_id=web.class_list, path=f"/{number}.mp4", label=0, split=split, state=state, hashes=hashes
            )
            for number, (split, state, hashes) in enumerate(items)
        )

    study.database().write(fill)
    return study.database().read(load_scored_items)


def test_each_sample_is_compared_with_every_frame_of_val_and_test(study: Study) -> None:
    base = random_hashes(6)
    rng = np.random.default_rng(0)
    scored = target(
        study,
        [
            ("test", "stored", base[:2].tobytes()),
            ("val", "stored", base[2:3].tobytes()),
            ("train", "stored", base[3:4].tobytes()),
            ("test", "failed", base[4:5].tobytes()),
        ],
    )
    near = flipped(base[[1, 2, 3, 4]], 30, rng)
    web = [base[5], near[0], np.stack([base[5], near[1]]), near[2], near[3]]
    found = candidates([0] * 6, [0.5] * 6, [{0}] * 6, packed_hashes=[h.tobytes() for h in web] + [None])
    result = compare(found, scored)
    assert result.items.tolist() == [-1, 0, 1, -1, -1, -1]
    assert result.bits[1:3].tolist() == [30, 30]
    assert result.methods.tolist() == ["", "crop", "hash", "", "", ""]
    assert result.compared.tolist() == [True] * 5 + [False]
    assert result.histogram["24-31"] == 2
    assert scored.unhashed == 0


def test_an_item_without_hashes_is_counted(study: Study) -> None:
    assert target(study, [("test", "waiting", None), ("train", "waiting", None)]).unhashed == 1


def test_a_black_sample_is_not_taken_for_a_black_frame(study: Study) -> None:
    scored = target(study, [("test", "stored", bytes(32))])
    found = candidates([0], [0.5], [{0}], packed_hashes=[bytes(32)])
    assert compare(found, scored).items.tolist() == [-1]


def test_what_was_compared_before_is_not_compared_again(study: Study, tmp_path, monkeypatch) -> None:
    base = random_hashes(4)
    scored = target(study, [("test", "stored", base[:1].tobytes())])
    web = [base[0], base[1], flipped(base[:1], 20, np.random.default_rng(0))[0]]
    few = candidates([0] * 2, [0.5] * 2, [{0}] * 2, packed_hashes=[h.tobytes() for h in web[:2]])
    more = candidates([0] * 3, [0.5] * 3, [{0}] * 3, packed_hashes=[h.tobytes() for h in web])
    file = tmp_path / "cache" / "nearest.npz"
    assert load_nearest(file) is None
    save_nearest(file, compare(few, scored).nearest)
    known = load_nearest(file)
    assert known.samples.tolist() == [1, 2]
    asked = []
    monkeypatch.setattr(contamination, "nearest", lambda left, *rest: asked.append(len(left)) or nearest(left, *rest))
    result = compare(more, scored, known)
    assert asked == [1]
    plain = compare(more, scored)
    for name in ("items", "bits", "methods", "compared"):
        assert getattr(result, name).tolist() == getattr(plain, name).tolist()
    assert result.items.tolist() == [0, -1, 0] and result.histogram == plain.histogram
    assert sorted(result.nearest.samples.tolist()) == [1, 2, 3]
    others = candidates([0] * 2, [0.5] * 2, [{0}] * 2, packed_hashes=[base[2].tobytes(), base[0].tobytes()])
    assert compare(others, scored, known).items.tolist() == [-1, 0], "other samples under the same ids"
    file.write_bytes(b"half a fi")
    assert load_nearest(file) is None


def test_distances_are_narrowed_where_unrelated_items_look_alike(study: Study) -> None:
    rng = np.random.default_rng(0)
    one = np.repeat(random_hashes(1), 40, axis=0)
    alike = target(study, [("test", "stored", hashes.tobytes()) for hashes in flipped(one, 25, rng)])
    object.__setattr__(alike, "groups", np.arange(40).astype(object))
    assert 31 <= safe_bits(alike) <= 42
    one_group = replace(alike, groups=np.full(40, "same", object))
    assert safe_bits(one_group) == 31, "nothing unrelated to tell by"
    apart = replace(alike, hashes=random_hashes(len(alike.hashes), seed=9))
    assert safe_bits(apart) > 60
    rule = within_safe_bits(RuleSpec(), alike)
    assert rule.contamination_bits == rule.near_duplicate_bits == safe_bits(alike)
    assert within_safe_bits(RuleSpec(), apart) == RuleSpec()
