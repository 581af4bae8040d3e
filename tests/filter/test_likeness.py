import numpy as np
import pytest
from sqlalchemy import select

from db.models import DuplicatePair, TargetItem
from omnisrc.data.hashes import scored_hashes
from omnisrc.errors import UserError
from omnisrc.filter.likeness import Whitening, find_alike
from omnisrc.media.image import encode_jpeg
from omnisrc.study import Study
from tests.filter.stages import filter_here, tiny_teacher
from tests.filter.test_filtering import EVERY_CLASS
from tests.filter.web import Item, land
from tests.media_files import image_bytes, texture, video_bytes


def vectors(count: int, seed: int, dims: int = 32) -> np.ndarray:
    """Correlated vectors, as embeddings are: most of them lies along a few directions."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, dims)) * np.geomspace(10, 0.1, dims) + 5).astype(np.float32)


def test_whitening_makes_every_direction_vary_alike() -> None:
    data = vectors(4000, 0)
    white = Whitening(data)
    turned = (data - white.mean) @ white.matrix
    spread = turned.std(axis=0)
    assert spread.max() / spread[:16].min() < 1.2
    np.testing.assert_allclose(np.linalg.norm(white(data), axis=1), 1, atol=1e-5)


def test_the_threshold_is_the_mean_similarity_of_crops_of_one_frame_and_copies_lie_above_it() -> None:
    rng = np.random.default_rng(1)
    frames = vectors(300, 2)

    def near(rows: np.ndarray, noise: float) -> np.ndarray:
        return rows + rng.normal(size=rows.shape).astype(np.float32) * noise * np.geomspace(10, 0.1, 32)

    crops = near(frames[:100], 0.3), near(frames[:100], 0.3)
    web = np.concatenate([near(frames[:3], 0.1), vectors(500, 3)])
    owners = np.array([7, 7, 9, *range(100, 600)])
    found = find_alike((owners, web), (np.arange(1000, 1300), frames), crops, {"same": near(frames[:50], 0.05)})
    assert 0.3 < found.threshold < 0.98 and found.recall == {"same": 1.0}
    samples = np.array([5, 7, 9, 100, 101])
    hit, items, similarity = found.contaminated(samples)
    assert hit.tolist() == [False, True, True, False, False]
    assert items[1] in (1000, 1001) and items[2] == 1002 and (similarity[hit] >= found.threshold).all()


def crop(picture: np.ndarray) -> bytes:
    return encode_jpeg(np.ascontiguousarray(picture[:228, :304]))


def test_a_trunk_finds_a_crop_that_hashes_miss(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights: even those tell a crop of a picture from other pictures."""
    shown = [texture(320, 240, seed=n) for n in range(20, 30)]
    items = [Item("leak.jpg", EVERY_CLASS, crop(shown[3]))]
    items += [Item(f"{n}.jpg", EVERY_CLASS, image_bytes(320, 240, seed=n)) for n in range(20)]
    web = land(study, items)
    land(study, [Item("v.mp4", EVERY_CLASS, video_bytes(20, seed=77), medium="video")], name="landing-2")
    files = []
    for number, picture in enumerate(shown):
        path = study.root / f"{number}.mp4"
        path.write_bytes(video_bytes([picture] * 3))
        files.append(path)

    def fill(session):
        for path, picture in zip(files, shown, strict=True):
            session.add(
                TargetItem(
                    class_list_id=web.class_list, path=str(path), label=0, split="test", state="stored",
                    medium="video", hashes=scored_hashes([picture], 1),
                )
            )  # fmt: skip

    study.database().write(fill)
    hashed = filter_here(study, monkeypatch, rule="all")
    assert hashed.members["image"].get("contaminated", 0) == 0, "the hashes find it: the test proves nothing"
    tiny_teacher(study.models / "trunk.safetensors", classes=tuple("abcdefgh"), width=16, side=96)
    both = filter_here(Study.open(study.root, ("filter.trunk=trunk",)), monkeypatch, rule="all", name="both")
    [pair] = study.database().read(lambda s: list(s.scalars(select(DuplicatePair).filter_by(method="embedding"))))
    item = study.database().read(lambda s: s.get_one(TargetItem, pair.target_item_id))
    assert item.path == str(files[3]) and both.members["image"]["contaminated"] == 1
    assert both.selection.counts["embedding"]["recall"]["smaller"] > 0.8


def test_a_3d_trunk_is_refused(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    land(study, [Item("a.jpg", EVERY_CLASS, image_bytes(96, 72))])
    tiny_teacher(study.models / "deep.safetensors", "slowonly_r18")
    with pytest.raises(UserError, match="3-D"):
        filter_here(Study.open(study.root, ("filter.trunk=deep",)), monkeypatch, rule="all")
