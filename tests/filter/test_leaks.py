import numpy as np
import pytest

from db.models import TargetItem
from omnisrc.data.hashes import scored_hashes
from omnisrc.engine.stage import Job
from omnisrc.filter.contamination import load_scored_items
from omnisrc.filter.leaks import CHANGES, check_leaks
from omnisrc.media.video import open_video
from omnisrc.study import Study
from tests.filter.web import asked_classes
from tests.media_files import moving_frames, video_bytes


def planted(study: Study, tmp_path, hashed: bool):
    """Three test clips in place, with the hashes of their own frames or of other ones."""

    def fill(session):
        web = asked_classes(session)
        for number in range(3):
            path = tmp_path / f"{number}.mp4"
            path.write_bytes(video_bytes(moving_frames(12, 320, 240, seed=number, speed=1)))
            with open_video(path) as video:
                frames = list(video.frames(range(len(video))))
            shown = frames if hashed else moving_frames(3, 320, 240, seed=40 + number)
            session.add(
                TargetItem(
                    class_list_id=web.class_list, path=str(path), label=0, split="test", state="stored", end=0.0,
                    hashes=scored_hashes(shown, 32),
                )
            )  # fmt: skip

    study.database().write(fill)
    scored = study.database().read(load_scored_items)
    return check_leaks(Job(study, None, study.database()), scored, 60, 40)


def test_copies_of_test_frames_are_found_whatever_the_web_did_to_them(study: Study, tmp_path) -> None:
    check = planted(study, tmp_path, hashed=True)
    assert check.planted == 3 and check.found.keys() == CHANGES.keys()
    sure = ("smaller", "larger", "compressed", "brighter", "mirrored", "square")
    assert {name: check.found[name] for name in sure} == dict.fromkeys(sure, 3)
    assert check.found["part-75"] <= check.found["part-95"]


def test_the_check_says_so_when_nothing_would_be_found(study: Study, tmp_path) -> None:
    check = planted(study, tmp_path, hashed=False)
    assert set(check.as_counts()["recall"].values()) == {0.0}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_a_picture(name: str) -> None:
    picture = moving_frames(1, 161, 121)[0]
    changed = CHANGES[name](picture, np.random.default_rng(0))
    assert changed.dtype == np.uint8 and changed.ndim == 3 and min(changed.shape[:2]) > 50
    assert changed.shape != picture.shape or (changed != picture).any()
