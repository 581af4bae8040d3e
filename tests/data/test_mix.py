import numpy as np
import pytest
import torch

from omnisrc.data.loading import check_shared_memory, mixed_steps
from omnisrc.data.manifest import manifest_of
from omnisrc.data.mix import Mix, Source, SourceBroken, View, make_batch
from omnisrc.data.plan import SourcePlan
from omnisrc.data.pseudo_clips import Warp
from omnisrc.data.samples import Decoded, FrameCache, SampleReader, SampleTable
from omnisrc.errors import ErrorClass, ItemError, UserError
from tests.media_files import video_bytes
from tests.mixed_world import clip_frames, colour, write_world

VIEW = View(clip_len=4, frame_interval=2, num_segments=1, size=32)
COUNTS = {("target", "train"): 12, ("web-image", "train"): 10, ("web-clip", "train"): 6}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    return root, write_world(root, COUNTS)


def source_of(world, name, batch=4, view=VIEW, cache=0, seed=1, split="train"):
    root, manifest = world
    table = SampleTable.of(manifest.rows(source=name, split=split), root)
    plan = SourcePlan(seed, name, table.labels, table.shards, batch)
    reader = SampleReader(table, 40, FrameCache(cache), name)
    return Source(name, "video" if table.videos.any() else "image", plan, reader, view)


def test_batches_hold_frames_labels_and_ids_of_their_rows(world):
    source = source_of(world, "target")
    draw = source.plan.draw(0)
    batch = make_batch(source, draw, "recognition")
    assert batch.frames.shape == (4, 1, 3, 4, 32, 32) and batch.frames.dtype == torch.uint8
    assert batch.ids.tolist() == (10_000 + draw.rows).tolist()
    assert batch.labels["recognition"].tolist() == (draw.rows % 4).tolist()
    assert batch.weights.tolist() == [1.0] * 4 and not batch.skips and batch.load_s > 0
    stills = source_of(world, "web-image")
    images = make_batch(stills, stills.plan.draw(0), "recognition")
    assert images.frames.shape == (4, 1, 3, 1, 32, 32)


def test_frames_show_what_the_sample_shows(world):
    centre = View(4, 2, 1, 40, crop="centre", share=1.0)
    source = source_of(world, "target", view=centre, batch=8)
    for place, label in enumerate(source.reader.table.labels[source.plan.draw(0).rows]):
        frames = make_batch(source, source.plan.draw(0), "recognition").frames[place, 0]
        near = (frames.permute(1, 2, 3, 0).float() - torch.tensor(colour(label))).abs().sum(-1) < 100
        assert (near.sum((1, 2)) > 20).all(), label


@pytest.mark.parametrize("kind", ["web-image", "web-clip", "target"])
def test_a_batch_is_a_function_of_the_step(world, kind):
    first, again = source_of(world, kind), source_of(world, kind, cache=1 << 24)
    other = source_of(world, kind, seed=2)
    for step in (0, 3, 1, 0):  # the second reader answers from memory at last
        a, b = (make_batch(s, s.plan.draw(step), "recognition") for s in (first, again))
        assert torch.equal(a.frames, b.frames) and torch.equal(a.ids, b.ids)
    assert not torch.equal(make_batch(other, other.plan.draw(0), "recognition").frames, a.frames)


def test_cached_and_decoded_frames_are_equal(world):
    plain, cached = source_of(world, "web-clip"), source_of(world, "web-clip", cache=1 << 24)
    for row in range(6):
        assert len(cached.reader.clip(row, lambda n, fps: np.arange(n))) == 12
        picked = [s.reader.clip(row, lambda n, fps: np.array([7, 2, 2, 11])) for s in (plain, cached)]
        assert (picked[0] == picked[1]).all()
    assert cached.reader.cache.left < 1 << 24 and plain.reader.cache.left == 0


def test_the_cache_stays_within_its_budget():
    cache = FrameCache(1000)
    for row in range(60):
        cache.put(("a", row), Decoded(np.zeros((1, 2, 3, 3), np.uint8), 0.0))  # 18 bytes
    assert sum(cache.get(("a", row)) is not None for row in range(60)) == 55
    assert cache.left == 1000 - 55 * 18
    assert not FrameCache(1000).has_room(21)  # over a fiftieth


def test_workers_and_ranks_slice_the_same_steps(world):
    def feed(workers=0, rank=0, world_size=1, first=0):
        sources = [source_of(world, name) for name in ("target", "web-image")]
        return list(mixed_steps(Mix(sources, "recognition", rank, world_size), first, 5, workers))

    plain, forked, resumed = feed(), feed(workers=2), feed(workers=2, first=3)
    for ours, theirs in [*zip(plain, forked, strict=True), *zip(plain[3:], resumed, strict=True)]:
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a.frames, b.frames) and torch.equal(a.ids, b.ids) and (a.seeds == b.seeds).all()
    halves = [feed(rank=rank, world_size=2) for rank in (0, 1)]
    for step, whole in enumerate(plain):
        for place, batch in enumerate(whole):
            assert torch.equal(batch.frames[0::2], halves[0][step][place].frames)
            assert torch.equal(batch.frames[1::2], halves[1][step][place].frames)


def test_a_batch_that_ranks_cannot_share_is_refused(world):
    with pytest.raises(UserError, match="4 samples a step, which 3 processes"):
        Mix([source_of(world, "target")], "recognition", 0, 3)


def test_undecodable_samples_are_named_counted_and_replaced(tmp_path):
    manifest = write_world(tmp_path, {("target", "train"): 8, ("web-image", "train"): 8}, broken={
        ("target", "train"): 3, ("web-image", "train"): 7})  # fmt: skip
    for name, bad, error in (("target", 3, "not-media"), ("web-image", 7, "decode")):
        source = source_of((tmp_path, manifest), name, batch=8)
        runs = [make_batch(source_of((tmp_path, manifest), name, batch=8), source.plan.draw(0), "t") for _ in range(2)]
        first = runs[0]
        broken = set(source.reader.table.ids[:bad])
        assert {skip.sample for skip in first.skips} == broken
        assert all(skip.error == error and skip.path.endswith(".tar") for skip in first.skips)
        assert not set(first.ids.tolist()) & broken
        assert torch.equal(first.frames, runs[1].frames) and first.skips == runs[1].skips
        assert first.labels["t"].tolist() == (first.ids % 10_000 % 4).tolist()  # the stand-in's own label


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_of_which_nothing_decodes_ends_the_run_with_a_sentence(tmp_path, workers):
    manifest = write_world(tmp_path, {("web-clip", "train"): 5}, broken={("web-clip", "train"): 5})
    mix = Mix([source_of((tmp_path, manifest), "web-clip")], "recognition")
    with pytest.raises(SourceBroken, match=r"^Nothing of the source web-clip can be decoded: tried 6 of its 5"):
        next(mixed_steps(mix, 0, 3, workers))


def test_a_missing_shard_is_a_counted_failure(tmp_path):
    manifest = write_world(tmp_path, {("target", "train"): 16})
    (tmp_path / "shards/target-train-0.tar").unlink()
    batch = make_batch(source_of((tmp_path, manifest), "target", batch=16), SourcePlan(
        1, "target", np.zeros(16, int), np.zeros(16, int), 16).draw(0), "t")  # fmt: skip
    assert {skip.error for skip in batch.skips} == {ErrorClass.STORAGE.value}
    assert len({skip.sample for skip in batch.skips}) == 8


def test_stills_move_when_they_are_warped(world):
    view = View(6, 2, 1, 32, images="warp", warp=Warp.of())
    batch = make_batch(source := source_of(world, "web-image", view=view), source.plan.draw(0), "t")
    assert batch.frames.shape == (4, 1, 3, 6, 32, 32)
    steps = batch.frames.float().diff(dim=3).abs().mean((0, 1, 2, 4, 5))
    assert (steps > 0.5).all()


def test_windows_of_a_file_used_in_place(tmp_path):
    frames = clip_frames(0, 5, 20)
    path = tmp_path / "a clip, with commas.mp4"
    path.write_bytes(video_bytes(frames, fps=10))
    rows = {"sample": [1, 2, 3], "source": ["target"] * 3, "split": ["train"] * 3, "label": [0] * 3,
            "path": [str(path)] * 3, "start": [0.0, 0.5, 7.0], "end": [0.0, 1.2, 9.0]}  # fmt: skip
    manifest = manifest_of(rows, ("a",), "toy", "0" * 64)
    reader = SampleReader(SampleTable.of(manifest, tmp_path / "elsewhere"))
    whole = reader.clip(0, lambda n, fps: np.arange(n))
    assert len(whole) == 20
    assert (reader.clip(1, lambda n, fps: np.arange(n)) == whole[5:12]).all()
    assert (reader.image(1) == whole[8:9]).all()
    with pytest.raises(ItemError, match="no frame between 7 and 9"):
        reader.clip(2, lambda n, fps: np.arange(n))


def test_the_rate_of_the_frames_reaches_the_sampler(world):
    rates = []
    for cache in (0, 1 << 24):
        reader = source_of(world, "target", cache=cache).reader
        for _ in range(2):
            reader.clip(0, lambda n, fps: rates.append(fps) or np.arange(2))
    assert rates == pytest.approx([25.0] * 4)


def test_too_little_shared_memory_is_refused_at_the_start():
    check_shared_memory(1, 2)
    with pytest.raises(UserError, match="shared memory"):
        check_shared_memory(1 << 60, 2)
