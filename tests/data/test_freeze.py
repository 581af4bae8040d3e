from collections import Counter

import numpy as np
import pytest

from db import models
from omnisrc.data.freeze import build_manifest, licence_warnings, target_manifest
from omnisrc.data.samples import SampleReader, SampleTable
from omnisrc.errors import UserError
from tests.mixed_world import CLASSES, record_world, write_world

COUNTS = {
    ("target", "train"): 6, ("target", "val"): 3, ("target", "test"): 4, ("web-image", "train"): 9,
    ("web-clip", "train"): 5,
}  # fmt: skip
ALL = ("target", "web-image", "web-clip")


@pytest.fixture
def world(study):
    return write_world(study.root, COUNTS)


def counted(manifest):
    return Counter(zip(manifest.table["source"].to_pylist(), manifest.table["split"].to_pylist(), strict=True))


def test_a_manifest_holds_train_and_val_and_never_test(study, world):
    record_world(study, world)
    manifest = build_manifest(study, ALL)
    assert counted(manifest) == {key: count for key, count in COUNTS.items() if key[1] != "test"}
    assert manifest.classes == CLASSES and manifest.class_list_sha256 == "0" * 64
    wanted = {row["sample"]: row for row in world.table.to_pylist()}
    for row in manifest.table.to_pylist():
        given = wanted[row["sample"]]
        assert all(row[name] == given[name] for name in given if name not in ("duration", "weight"))
        assert row["weight"] == 1.0 and row["duration"] == 0.5
    assert build_manifest(study, ALL).sha256 == manifest.sha256
    table = SampleTable.of(manifest.rows(source="web-clip"), study.root)
    assert SampleReader(table).clip(0, lambda n, fps: np.arange(1)).shape == (1, 48, 56, 3)


def test_only_the_asked_sources_are_taken_and_val_comes_along(study, world):
    record_world(study, world)
    assert counted(build_manifest(study, ("target",))) == {("target", "train"): 6, ("target", "val"): 3}
    assert counted(build_manifest(study, ("web-image",))) == {("web-image", "train"): 9, ("target", "val"): 3}
    assert counted(target_manifest(study, "test")) == {("target", "test"): 4}
    assert counted(target_manifest(study, "test", "0" * 64)) == {("target", "test"): 4}


def test_dropped_members_and_failed_items_stay_out(study, world):
    record_world(study, world)

    def spoil(session):
        session.query(models.SelectionMember).first().reason = "disagree"
        item = session.query(models.TargetItem).filter_by(split="train").first()
        item.state, item.error = "failed", "decode"

    study.database().write(spoil)
    counts = counted(build_manifest(study, ALL))
    assert counts["web-image", "train"] + counts["web-clip", "train"] == 13 and counts["target", "train"] == 5


def test_files_used_in_place_keep_their_window(study, world):
    record_world(study, world)

    def reference(session):
        item = session.query(models.TargetItem).filter_by(split="val").first()
        item.shard_id, item.key, item.start, item.end = None, None, 1.5, 3.0
        item.path = "/data/a b, c.mp4"

    study.database().write(reference)
    [row] = [row for row in build_manifest(study, ("target",)).table.to_pylist() if row["path"].startswith("/data")]
    place = [row[name] for name in ("path", "offset", "length", "start", "end")]
    assert place == ["/data/a b, c.mp4", 0, -1, 1.5, 3.0]


def test_the_newest_selection_counts_unless_one_is_named(study, world):
    record_world(study, world, warnings=["images were judged by replication"])

    def second(session):
        first = session.query(models.Selection).one()
        newer = models.Selection(
            name="strict", rule_id=first.rule_id, class_list_id=first.class_list_id, teachers={}, decontaminated=True,
            packed=True, counts={}, warnings=[], created=1.0,
        )  # fmt: skip
        session.add(newer)
        session.flush()
        member = session.query(models.SelectionMember).first()
        session.add(
            models.SelectionMember(
                selection_id=newer.id, sample_id=member.sample_id, label=member.label, score=1.0,
                shard_id=member.shard_id, key=member.key, offset=member.offset, length=member.length,
            )
        )  # fmt: skip

    study.database().write(second)
    newest, named = build_manifest(study, ALL), build_manifest(study, ALL, "main")
    assert newest.facts["selection"] == "strict" and named.facts["selection"] == "main"
    assert counted(newest)["web-image", "train"] == 1 and counted(named)["web-image", "train"] == 9
    with pytest.raises(UserError, match="Did you mean strict"):
        build_manifest(study, ALL, "strikt")
    warnings = named.facts["warnings"]
    assert warnings[0] == "images were judged by replication"
    ids = [n for n in world.column("sample") if n >= 40_000]
    closed = sum(n % 8 == 0 for n in ids)
    unknown = sum(n % 8 != 0 and n % 3 == 0 for n in ids)
    assert warnings[1:] == [
        f"{unknown} web samples have no known licence.",
        f"{closed} web samples have a licence that allows no derivatives.",
    ]
    assert sum(named.facts["licences"].values()) == len(ids) == 14


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        ({"decontaminated": False}, "not compared with the target's val and test.*omnisrc filter"),
        ({"packed": False}, "not packed; run the same `omnisrc filter`"),
    ],
)
def test_a_selection_that_is_unchecked_or_unfinished_is_refused(study, world, selection, sentence):
    record_world(study, world, **selection)
    with pytest.raises(UserError, match=sentence):
        build_manifest(study, ALL)
    assert len(build_manifest(study, ("target",))) == 9


def test_what_is_missing_is_named_with_the_command_that_makes_it(study, world):
    with pytest.raises(UserError, match=r"no selection of web data.*omnisrc crawl.*omnisrc filter"):
        build_manifest(study, ALL)
    with pytest.raises(UserError, match="no target data set; add one with `omnisrc target add"):
        build_manifest(study, ("target",))
    with pytest.raises(UserError, match="no target data set"):
        target_manifest(study, "test")


def test_another_class_list_is_refused(study, world):
    record_world(study, world)

    def other(session):
        session.add(models.ClassList(name="other", sha256="1" * 64, created=0.0))
        session.flush()
        session.query(models.Selection).one().class_list_id = 2

    study.database().write(other)
    with pytest.raises(UserError, match="class list other is not the target's \\(toy\\)"):
        build_manifest(study, ALL)
    with pytest.raises(UserError, match="class list other is not the target's"):
        target_manifest(study, "test", "1" * 64)


def test_a_split_that_is_not_there_is_named(study, world):
    record_world(study, world)
    with pytest.raises(UserError, match="no dev split \\(its splits: test, train, val\\)"):
        target_manifest(study, "dev")

    def no_train(session):
        session.query(models.TargetItem).filter_by(split="train").update({"split": "test"})

    study.database().write(no_train)
    with pytest.raises(UserError, match="no train split"):
        build_manifest(study, ("target",))


@pytest.mark.parametrize(
    ("licence", "said"),
    [("CC BY-ND 2.0", 1), ("cc-by-nc-nd-4.0", 1), ("No derivatives", 1), ("unknown", 1), ("", 1), ("CC BY 4.0", 0),
     ("Andorra open licence", 0), ("CC0", 0)],
)  # fmt: skip
def test_licences_to_warn_of(licence, said):
    assert len(licence_warnings({licence: 2})) == said
