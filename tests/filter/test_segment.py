import numpy as np
import pytest
from sqlalchemy import select

from db.models import Blob, Job, Sample
from omnisrc.data.hashes import picture_hashes
from omnisrc.data.samples import decode_image
from omnisrc.filter.planning import enqueue_segments
from omnisrc.study import Study
from tests.filter.stages import work
from tests.filter.web import Item, land
from tests.media_files import headless_mp4, image_bytes, moving_frames, texture, video_bytes


def samples(study: Study) -> dict[int, list[Sample]]:
    found: dict[int, list[Sample]] = {}
    for sample in study.database().read(lambda s: list(s.scalars(select(Sample).order_by(Sample.id)))):
        found.setdefault(sample.blob_id, []).append(sample)
    return found


def segment(study: Study) -> list[dict]:
    study.database().write(enqueue_segments)
    return work(study, "segment")


def two_shots() -> bytes:
    calm = [texture(160, 120, 1)] * 60
    return video_bytes(calm + moving_frames(60, 160, 120, seed=9), fps=25)


def test_an_image_is_a_sample_and_a_video_is_its_shots(study: Study) -> None:
    picture = image_bytes(200, 150)
    images = land(study, [Item("a.jpg", {"golf": 0}, picture)])
    videos = land(study, [Item("b.mp4", {"golf": 1}, two_shots(), medium="video")], name="landing-2")
    segment(study)
    found = samples(study)
    [image] = found[images.blobs["a.jpg"]]
    assert (image.kind, image.start, image.end, image.error) == ("image", 0.0, 0.0, None)
    assert image.hashes == picture_hashes(decode_image(picture))
    windows = found[videos.blobs["b.mp4"]]
    assert [(clip.kind, round(clip.start, 2), round(clip.end, 2)) for clip in windows] == [
        ("clip", 0.0, 2.4), ("clip", 2.4, 4.8),
    ]  # fmt: skip
    assert all(len(clip.hashes) >= 4 * 32 for clip in windows)


def test_what_cannot_be_decoded_is_a_sample_set_aside_and_its_neighbours_are_not(study: Study) -> None:
    web = land(study, [
        Item("good.jpg", {"golf": 0}, image_bytes()),
        Item("bad.jpg", {"golf": 1}, b"\xff\xd8\xff\xe0 no picture", phash=bytes(32)),
    ])  # fmt: skip
    videos = land(study, [
        Item("cut.mp4", {"golf": 0}, headless_mp4(video_bytes(20)), medium="video"),
        Item("good.mp4", {"golf": 0}, video_bytes(20), medium="video"),
    ], name="landing-2")  # fmt: skip
    results = segment(study)
    found = samples(study)
    assert [found[web.blobs[name]][0].error for name in ("good.jpg", "bad.jpg")] == [None, "decode"]
    assert [found[videos.blobs[name]][0].error for name in ("cut.mp4", "good.mp4")] == ["decode", None]
    assert [result["errors"] for result in results] == [{"decode": 1}, {"decode": 1}]


def test_segmenting_again_changes_nothing(study: Study) -> None:
    land(study, [Item("a.jpg", {"golf": 0}, image_bytes())])
    segment(study)
    before = [sample.id for rows in samples(study).values() for sample in rows]
    assert study.database().write(enqueue_segments) == 0
    study.database().write(lambda s: s.execute(Job.__table__.update().values(state="waiting", lease_token=None)))
    work(study, "segment")
    assert [sample.id for rows in samples(study).values() for sample in rows] == before


def test_a_damaged_shard_costs_only_what_cannot_be_read_and_that_comes_back_with_it(study: Study) -> None:
    items = [Item(f"{n}.jpg", {"golf": n}, image_bytes(seed=n)) for n in range(4)]
    web = land(study, items)
    path = study.landing / "landing-1.tar"
    whole = path.read_bytes()
    cut = study.database().read(lambda s: s.get_one(Blob, web.blobs["2.jpg"])).offset + 10
    path.write_bytes(whole[:cut])
    [result] = segment(study)
    assert result["unreadable"] == {"landing/landing-1.tar": 2}
    assert sorted(samples(study)) == sorted(web.blobs[f"{n}.jpg"] for n in (0, 1))
    path.write_bytes(whole)
    segment(study)
    found = samples(study)
    assert len(found) == 4 and all(rows[0].error is None for rows in found.values())


def test_an_item_that_killed_three_workers_is_set_aside_alone(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    web = land(study, [Item(f"{n}.jpg", {"golf": n}, image_bytes(seed=n)) for n in range(3)])
    study.database().write(enqueue_segments)
    struck = str(web.blobs["1.jpg"])
    study.database().write(
        lambda s: s.execute(Job.__table__.update().values(losses=3, strikes={struck: 3, str(web.blobs["0.jpg"]): 2}))
    )
    journalled = []
    monkeypatch.setattr("omnisrc.engine.stage.Job.journal", lambda job, item: journalled.append(item))
    work(study, "segment")
    found = samples(study)
    assert [found[web.blobs[f"{n}.jpg"]][0].error for n in range(3)] == [None, "worker-lost", None]
    assert journalled == [str(web.blobs["0.jpg"]), str(web.blobs["2.jpg"])]


def test_every_window_has_a_hash(study: Study) -> None:
    from omnisrc.filter.segment import window_hashes
    from omnisrc.media.shots import Segments, Window

    hashes = np.arange(64, dtype=np.uint8).reshape(2, 32)
    found = Segments(
        None, [Window(0, 1), Window(1, 1.6), Window(5, 6)], hashes, np.array([0, 0]), np.array([0.2, 0.9]), np.ones(2)
    )
    assert window_hashes(found, 0) == hashes.tobytes()
    assert window_hashes(found, 1) == window_hashes(found, 2) == hashes[1].tobytes()
