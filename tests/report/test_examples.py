"""Examples are few, evenly spaced over the scores, and shown by real pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy.orm import Session

from db.models import Rule, Sample, Selection, SelectionMember
from omnisrc.media.settings import MediaSettings
from omnisrc.report.examples import Place, read_examples, spread
from omnisrc.report.limits import Limits
from omnisrc.report.pairs import read_pairs
from omnisrc.report.thumbnails import Pictures
from omnisrc.shards.store import ShardStore
from omnisrc.study import Study
from tests.media_files import image_bytes
from tests.report import studies

MEDIA = MediaSettings(guard_processes=1)


def picture(uri: str | None) -> np.ndarray:
    assert uri is not None and uri.startswith("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_chosen_ranks_are_evenly_spaced_and_no_more_than_asked(any_study: Study) -> None:
    built = studies.crawled(any_study, images=1)
    totals = (3, 10, 101)  # samples of each class

    def fill(session: Session) -> None:
        blob = session.get_one(Sample, built.samples[0]).blob_id
        session.add(Rule(id=1, sha256="0" * 64, params={}))
        session.flush()
        selection = Selection(
            id=1, name="s", rule_id=1, class_list_id=built.class_list, teachers={}, counts={}, warnings=[], created=0
        )
        rows = [(label, number) for label, total in enumerate(totals) for number in range(total)]
        samples = [
            Sample(id=1000 * label + number + 1000, blob_id=blob, kind="clip", start=label, end=number + 1)
            for label, number in rows
        ]
        session.add_all([selection, *samples])
        session.flush()
        session.add_all(
            SelectionMember(selection_id=1, sample_id=sample.id, label=label, score=1 - number / 200)
            for (label, number), sample in zip(rows, samples, strict=True)
        )

    any_study.database().write(fill)
    galleries = any_study.database().read(lambda s: read_examples(s, s.get_one(Selection, 1), Limits(examples=4)))
    for label, (total, gallery) in enumerate(zip(totals, galleries, strict=True)):
        ranks = [shown.sample - 1000 * label - 1000 for shown in gallery.kept]
        assert len(ranks) == min(4, total) and ranks[0] == 0 and ranks == sorted(ranks)
        gaps = np.diff([*ranks, total])
        assert gaps.max() - gaps.min() <= 1
        assert gallery.totals == {"kept": total, "dropped": 0}


def test_spread_keeps_the_order_and_the_first() -> None:
    assert spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert spread([1, 2], 4) == [1, 2]


def test_classes_are_limited_and_examples_tell_what_the_teacher_said(any_study: Study) -> None:
    built = studies.filtered(any_study)

    def read(session: Session, **limits: int):
        return read_examples(session, session.get_one(Selection, built.selection), Limits(**limits))

    galleries = any_study.database().read(read)
    assert [gallery.name for gallery in galleries] == list(studies.CLASSES)
    first = galleries[0].kept[0]
    assert (first.label, first.score, first.reason, first.licence) == ("abseiling", 0.99, None, "<b>CC</b>")
    [best, second] = first.teacher
    assert best == ("abseiling", pytest.approx(np.e**2 / (np.e**2 + 2))) and second[0] == "brush hair"
    assert [shown.reason for shown in galleries[2].dropped] == ["disagree", "near-duplicate"]
    assert len(any_study.database().read(lambda s: read(s, example_classes=2))) == 2
    assert any_study.database().read(lambda s: read(s, examples=0)) == []


def test_a_kept_sample_is_shown_from_its_curated_shard_and_a_dropped_one_from_its_landing_shard(study: Study) -> None:
    built = studies.filtered(study)
    galleries = study.database().read(lambda s: read_examples(s, s.get_one(Selection, built.selection), Limits()))
    kept, dropped = galleries[1].kept[0], galleries[1].dropped[0]
    assert kept.places[0].path.startswith("curated/") and dropped.places[0].path.startswith("landing/")
    pictures = Pictures(ShardStore(study.root), MEDIA, 60)
    pictures.make([kept.places, dropped.places])
    for shown, seed in ((kept, 1), (dropped, 10)):
        seen = picture(pictures.uri(shown.places))
        assert seen.shape == (60, 80, 3)
        truth = Image.open(io.BytesIO(image_bytes(seed=seed))).resize((80, 60), Image.Resampling.BOX)
        assert np.abs(seen.astype(int) - np.asarray(truth)).mean() < 8


def test_a_clip_is_shown_by_three_different_frames_of_its_window(study: Study) -> None:
    built = studies.filtered(study)
    galleries = study.database().read(lambda s: read_examples(s, s.get_one(Selection, built.selection), Limits()))
    clip = next(shown for shown in galleries[0].kept if shown.kind == "clip")
    landed = clip.places[1]
    assert landed.medium == "video" and landed.end > landed.start
    pictures = Pictures(ShardStore(study.root), MEDIA, 60)
    pictures.make([clip.places, [landed]])
    for place in (clip.places[0], landed):
        strip = picture(pictures.uri([place])).astype(int)
        assert strip.shape == (60, 3 * 80 + 2 * 2, 3)
        frames = [strip[:, at : at + 80] for at in (0, 82, 164)]
        assert min(np.abs(frames[0] - frames[1]).mean(), np.abs(frames[1] - frames[2]).mean()) > 3


def test_where_no_bytes_can_be_read_there_is_no_picture_and_no_error(study: Study) -> None:
    (study.root / "junk.bin").write_bytes(b"<html>not a picture</html>" * 100)
    gone = Place("landing/gone.tar", 512, 100, "image")
    junk = Place("junk.bin", 0, 2600, "image")
    film = replace(junk, medium="video")
    short = Place("junk.bin", 2000, 10_000, "image")
    pictures = Pictures(ShardStore(study.root), MEDIA, 60)
    pictures.make([[gone], [junk], [film], [short], []])
    assert [pictures.uri([place]) for place in (gone, junk, film, short)] == [None] * 4


def test_the_second_place_stands_in_where_the_first_was_freed(study: Study) -> None:
    (study.root / "there.jpg").write_bytes(image_bytes(seed=3))
    places = [Place("curated/gone.tar", 512, 100, "image"), Place("there.jpg", 0, -1, "image")]
    pictures = Pictures(ShardStore(study.root), MEDIA, 60)
    told = []
    pictures.make([places], lambda done, count: told.append((done, count)))
    assert picture(pictures.uri(places)).shape == (60, 80, 3)
    assert told == [(1, 1)]


def test_pairs_name_both_sides(any_study: Study) -> None:
    built = studies.filtered(any_study)
    pairs = any_study.database().read(lambda s: read_pairs(s, s.get_one(Selection, built.selection), 5))
    assert pairs.counts == {("hash", "test"): 1, ("hash", "web"): 1}
    [leak] = pairs.contaminated
    assert (leak.distance, leak.item.name, leak.item.split, leak.item.label) == (
        41.0,
        "clip 2.avi",
        "test",
        "playing cards",
    )
    assert leak.sample.sample == built.samples[10] and leak.item.places[0].path == "target/target-0.tar"
    [copy] = pairs.duplicates
    assert (copy.sample.sample, copy.other.sample) == (built.samples[11], built.samples[0])
