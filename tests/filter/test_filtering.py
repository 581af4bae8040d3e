"""The verb `filter` over a small web of real pictures and clips, with its stages run in this process."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from db import schema
from db.models import Asset, Blob, DuplicatePair, Job, Sample, Selection, SelectionMember, Shard, TargetItem
from db.storage import mark_freed
from omnisrc import resources
from omnisrc.data.freeze import build_manifest
from omnisrc.data.hashes import scored_hashes
from omnisrc.data.samples import decode_image
from omnisrc.errors import UserError
from omnisrc.media.guard import GuardPool
from omnisrc.shards.read import ShardReader, read_bytes
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study
from tests.filter.stages import filter_here, tiny_teacher
from tests.filter.web import CLASSES, Item, land
from tests.media_files import image_bytes, moving_frames, video_bytes

EVERY_CLASS = dict.fromkeys(CLASSES, 0)


def small_web(study: Study, images: int = 6, clips: int = 2):
    """Pictures found for every class (so that any teacher agrees) but the last, found for one class alone."""
    items = [Item(f"{n}.jpg", EVERY_CLASS, image_bytes(96, 72, seed=n)) for n in range(images)]
    web = land(study, items)
    if clips:
        movies = [
            Item(f"{n}.mp4", EVERY_CLASS, video_bytes(30, width=96, height=72, seed=n + 50), medium="video")
            for n in range(clips)
        ]
        web.blobs |= land(study, movies, name="landing-2").blobs
    return web


def scored(study: Study, web, pictures: list[np.ndarray], split: str = "test") -> None:
    """Items of val or test that show pictures."""

    def fill(session):
        for number, picture in enumerate(pictures):
            session.add(
                TargetItem(
                    class_list_id=web.class_list, path=f"/{split}/{number}.mp4", label=0, split=split, state="stored",
                    hashes=scored_hashes([picture], 8), medium="image",
                )
            )  # fmt: skip

    study.database().write(fill)


def shards_of(study: Study, kind: str) -> list[Shard]:
    return study.database().read(lambda s: list(s.scalars(select(Shard).filter_by(kind=kind).order_by(Shard.id))))


def members(study: Study, selection: int) -> dict[int, SelectionMember]:
    """By blob."""
    query = select(Sample.blob_id, SelectionMember).join(SelectionMember, SelectionMember.sample_id == Sample.id)
    rows = study.database().read(lambda s: s.execute(query.where(SelectionMember.selection_id == selection)).all())
    return {blob: member for blob, member in rows}


@pytest.fixture(params=["sqlite", "postgresql"])
def any_study(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """An empty study on SQLite and on PostgreSQL."""
    if request.param == "postgresql":
        monkeypatch.setenv("OMNISRC_DATABASE_URL", request.getfixturevalue("postgresql_url"))
    made = Study.open(tmp_path / "study")
    made.prepare()
    schema.upgrade(made.database(), resources.migrations())
    yield made
    made.database().dispose()


def test_what_a_teacher_keeps_is_packed_with_its_label_and_provenance(
    any_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = any_study
    web = small_web(study)
    tiny_teacher(study.models / "tiny.safetensors")
    outcome = filter_here(study, monkeypatch, teacher="tiny")
    assert outcome.members == {"image": {"found": 6, "kept": 6}, "clip": {"found": 2, "kept": 2}}
    assert outcome.selection.packed and outcome.shards == 2
    found = members(study, outcome.selection.id)
    shards = {shard.id: shard for shard in shards_of(study, "curated")}
    for shard in shards.values():
        path = study.root / shard.path
        assert verify_shard(path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256) == []
    for name, blob in web.blobs.items():
        member = found[blob]
        shard = shards[member.shard_id]
        data = read_bytes(study.root / shard.path, member.offset, member.length)
        about = json.loads(ShardReader(study.root / shard.path).get(member.key)["json"])
        assert about["labels"] == {"recognition": {"label": member.label, "class": CLASSES[member.label]}}
        assert about["provenance"]["assets"][0]["url"] == f"https://example.org/{name}"
        assert about["provenance"]["assets"][0]["license"] == "CC BY 4.0"
        assert about["provenance"]["teacher"]["name"] == "tiny"
        if name.endswith("jpg"):
            assert data == image_bytes(96, 72, seed=int(name[0])) and about["source"] == "web-image"
        else:
            assert b"ftyp" in data[:16] and member.frames == 30 and member.duration == pytest.approx(1.2, abs=0.05)
            assert about["window"] == [0.0, pytest.approx(1.2, abs=0.05)]


def test_filtering_again_makes_nothing_new_and_more_crawling_only_what_is_new(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_web(study, clips=0)
    tiny_teacher(study.models / "tiny.safetensors")
    first = filter_here(study, monkeypatch, teacher="tiny")
    jobs = study.database().read(lambda s: len(s.scalars(select(Job)).all()))
    again = filter_here(study, monkeypatch, teacher="tiny")
    assert (again.made, again.selection.id) == (False, first.selection.id)
    assert study.database().read(lambda s: len(s.scalars(select(Job)).all())) == jobs
    land(study, [Item("new.jpg", EVERY_CLASS, image_bytes(96, 72, seed=90))], name="landing-9")
    more = filter_here(study, monkeypatch, teacher="tiny")
    assert more.members["image"] == {"found": 7, "kept": 7} and more.made
    stages = study.database().read(lambda s: [job.stage for job in s.scalars(select(Job).where(Job.id > jobs))])
    assert sorted(stages) == ["pack", "predict", "segment", "select"]


def test_redo_select_needs_no_teacher_file_and_copies_what_was_packed(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = small_web(study)
    path = tiny_teacher(study.models / "tiny.safetensors")
    first = filter_here(study, monkeypatch, teacher="tiny")
    path.unlink()
    landed = shards_of(study, "landing")
    study.database().write(lambda s: mark_freed(s, [shard.id for shard in landed]))
    for shard in landed:
        (study.root / shard.path).unlink()
    scores = sorted(member.score for member in members(study, first.selection.id).values())
    strict = Study.open(study.root, (f"filter.min_probability={scores[3]}",))
    second = filter_here(strict, monkeypatch, redo="select")
    assert sum(counts["kept"] for counts in second.members.values()) == 5 and second.selection.packed
    before, after = members(study, first.selection.id), members(study, second.selection.id)
    paths = {shard.id: shard.path for shard in shards_of(study, "curated")}
    for blob in web.blobs.values():
        if after[blob].reason is None:
            old, new = (
                read_bytes(study.root / paths[m.shard_id], m.offset, m.length) for m in (before[blob], after[blob])
            )
            assert old == new and before[blob].shard_id != after[blob].shard_id
    back = filter_here(study, monkeypatch, redo="select")
    assert back.selection.id > second.selection.id and back.members == first.members


def test_a_clip_is_encoded_anew_only_for_other_settings(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    small_web(study, images=1)
    filter_here(study, monkeypatch, rule="all")
    cut = []
    encode = GuardPool.cut_clip
    monkeypatch.setattr(GuardPool, "cut_clip", lambda *a, **k: cut.append(k["short_side"]) or encode(*a, **k))
    filter_here(study, monkeypatch, rule="all", name="same")
    assert cut == []
    smaller = Study.open(study.root, ("media.clip_short_side=48",))
    filter_here(smaller, monkeypatch, rule="all", name="smaller")
    assert cut == [48, 48]


def test_pictures_of_test_frames_are_dropped_and_the_rest_counts_as_checked(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = small_web(study, clips=0)
    scored(study, web, [decode_image(image_bytes(640, 480, seed=2)), moving_frames(1, 200, 150, seed=70)[0]])
    outcome = filter_here(study, monkeypatch, rule="all")
    assert outcome.members["image"] == {"found": 6, "kept": 5, "contaminated": 1}
    assert outcome.selection.decontaminated
    assert members(study, outcome.selection.id)[web.blobs["2.jpg"]].reason == "contaminated"
    [pair] = study.database().read(lambda s: list(s.scalars(select(DuplicatePair))))
    item = study.database().read(lambda s: s.get_one(TargetItem, pair.target_item_id))
    assert item.path == "/test/0.mp4" and pair.method == "hash" and pair.distance <= 31
    written = json.loads(outcome.pairs.read_text())
    [told] = written["contaminated"]
    assert (told["url"], told["item"], told["split"]) == ("https://example.org/2.jpg", "/test/0.mp4", "test")
    assert len(build_manifest(study, ["web-image"]).rows("web-image")) == 5
    scored(study, web, [decode_image(image_bytes(640, 480, seed=4))], split="val")
    with pytest.raises(UserError, match="changed after the selection web"):
        build_manifest(study, ["web-image"])
    again = filter_here(study, monkeypatch, rule="all", redo="select")
    assert again.members["image"] == {"found": 6, "kept": 4, "contaminated": 2}
    assert len(build_manifest(study, ["web-image"]).rows("web-image")) == 4
    assert written["thresholds"]["contamination_bits"] == 31 and written["near_duplicates"] == []


def test_a_selection_is_unchecked_without_val_and_test_or_with_items_not_hashed(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = small_web(study, clips=0)
    alone = filter_here(study, monkeypatch, rule="all").selection
    assert not alone.decontaminated and "no val or test" in " ".join(alone.warnings)

    def unhashed(session):
        session.add(TargetItem(class_list_id=web.class_list, path="/v.mp4", label=0, split="val", state="waiting"))

    study.database().write(unhashed)
    half = filter_here(study, monkeypatch, rule="all").selection
    assert half.id > alone.id and not half.decontaminated and "1 items" in " ".join(half.warnings)
    with pytest.raises(UserError, match="not compared"):
        build_manifest(study, ["web-image"])


def test_near_duplicates_of_a_better_sample_are_dropped(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_bytes(320, 240, seed=1)
    web = land(study, [
        Item("a.jpg", {"golf": 0}, data),
        Item("b.jpg", {"golf": 1}, image_bytes(240, 180, seed=1, quality=40)),
        Item("c.jpg", {"golf": 2}, image_bytes(320, 240, seed=2)),
    ])  # fmt: skip
    outcome = filter_here(study, monkeypatch, rule="all")
    found = members(study, outcome.selection.id)
    reasons = [found[web.blobs[name]].reason for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert reasons == [None, "near-duplicate", None]


def test_labels_by_hand_decide_and_need_no_teacher(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    web = small_web(study, images=3, clips=1)
    file = tmp_path / "labels.csv"
    file.write_text(
        "\ufeffurl,label,start,end\r\nhttps://example.org/0.jpg,Pour,,\r\nhttps://example.org/1.jpg,,,\r\n"
        "https://example.org/0.mp4,run,0.2,5\r\nhttps://example.org/nowhere.jpg,golf,,\r\n",
        encoding="utf-8",
    )
    outcome = filter_here(study, monkeypatch, labels=file)
    found = members(study, outcome.selection.id)
    assert {name: (found[blob].label, found[blob].reason) for name, blob in web.blobs.items()} == {
        "0.jpg": (1, None), "1.jpg": (-1, "unlabelled"), "2.jpg": (-1, "unlabelled"), "0.mp4": (2, None),
    }  # fmt: skip
    assert filter_here(study, monkeypatch, labels=file).made is False


def test_taken_down_and_forbidden_samples_are_not_kept(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    web = small_web(study, clips=0)

    def change(session):
        for name, values in (("0.jpg", {"state": "refused"}), ("1.jpg", {"license": "CC BY-ND 2.0"})):
            session.execute(Asset.__table__.update().where(Asset.title == name).values(**values))

    study.database().write(change)
    rules = Study.open(study.root, ('filter.licences.deny=["*-nd*"]',))
    outcome = filter_here(rules, monkeypatch, rule="all")
    assert outcome.members["image"] == {"found": 6, "kept": 4, "taken-down": 1, "licence": 1}
    assert members(study, outcome.selection.id)[web.blobs["1.jpg"]].reason == "licence"


def test_a_damaged_landing_shard_is_named_and_costs_only_its_own_samples(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = small_web(study, clips=0)
    filter_here(study, monkeypatch, rule="all", pack=False)
    blob = study.database().read(lambda s: s.scalars(select(Sample.blob_id).order_by(Sample.id)).all())[4]
    path = study.landing / "landing-1.tar"
    path.write_bytes(path.read_bytes()[: study.database().read(lambda s: s.get_one(Blob, blob)).offset])
    outcome = filter_here(study, monkeypatch, rule="all", name="other")
    assert outcome.members["image"] == {"found": 6, "kept": 4, "storage": 2}
    assert outcome.lost == {"landing/landing-1.tar": 2} and outcome.selection.packed
    assert len(web.blobs) == 6


def test_a_web_of_which_nothing_can_be_read_gives_an_empty_selection(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(study, [Item("a.jpg", {"golf": 0}, image_bytes(96, 72))])
    land(study, [Item("b.mp4", {"golf": 0}, b"no video", medium="video")], name="landing-2")
    (study.landing / "landing-1.tar").write_bytes(b"")
    tiny_teacher(study.models / "tiny.safetensors")
    outcome = filter_here(study, monkeypatch, teacher="tiny")
    assert outcome.members == {"clip": {"found": 1, "kept": 0, "aside": 1}}
    assert outcome.selection.packed and outcome.shards == 0
    assert outcome.lost == {"landing/landing-1.tar": 1}


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"teacher": "tinny"}, "tinny"),
        ({}, "needs a teacher"),
        ({"rule": "agre", "teacher": "tiny"}, "Did you mean agree"),
        ({"rule": "labels"}, "needs the file of labels"),
        ({"redo": "predict", "teacher": "tiny"}, "--redo select"),
        ({"redo": "select"}, "No teacher has judged"),
        ({"teacher": "tiny", "name": "../web"}, "cannot name a selection"),
    ],
)
def test_mistakes_are_sentences(study: Study, monkeypatch: pytest.MonkeyPatch, wish: dict, sentence: str) -> None:
    land(study, [Item("a.jpg", {"golf": 0}, image_bytes(96, 72))])
    tiny_teacher(study.models / "tiny.safetensors")
    with pytest.raises(UserError, match=sentence) as caught:
        filter_here(study, monkeypatch, **wish)
    assert "\n" not in str(caught.value)


def test_nothing_to_filter_names_the_command_that_fetches(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="omnisrc crawl --classes"):
        filter_here(study, monkeypatch, teacher="slowonly")


def test_a_teacher_of_other_classes_is_refused(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    small_web(study, clips=0)
    tiny_teacher(study.models / "other.safetensors", classes=("golf", "pour", "swim"))
    with pytest.raises(UserError, match="mapping"):
        filter_here(study, monkeypatch, teacher="other")
    tiny_teacher(study.models / "more.safetensors", classes=(*CLASSES, "swim"))
    with pytest.raises(UserError, match="4 classes"):
        filter_here(study, monkeypatch, teacher="more")


def test_a_3d_teacher_of_stills_is_warned_of_and_an_image_teacher_is_used(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_web(study, images=2, clips=1)
    tiny_teacher(study.models / "deep.safetensors", "slowonly_r18")
    tiny_teacher(study.models / "flat.safetensors", "tsn_r18")
    warned = filter_here(study, monkeypatch, teacher="deep").selection
    assert any("3-D teacher deep" in warning for warning in warned.warnings)
    both = filter_here(study, monkeypatch, teacher="deep", image_teacher="flat").selection
    assert not any("3-D" in warning for warning in both.warnings)
    assert both.teachers["image"] != both.teachers["clip"] == warned.teachers["clip"]


def test_the_newest_of_two_selections_of_a_name_counts_whatever_was_made_before(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_web(study, clips=0)
    first = filter_here(study, monkeypatch, rule="all").selection
    capped = filter_here(Study.open(study.root, ("filter.per_class_cap=1",)), monkeypatch, rule="all")
    assert capped.members["image"]["kept"] == 1
    third = filter_here(study, monkeypatch, rule="all").selection
    assert first.id < capped.selection.id < third.id
    assert study.database().read(lambda s: len(s.scalars(select(Selection)).all())) == 3
