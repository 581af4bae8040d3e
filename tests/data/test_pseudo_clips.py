import numpy as np
import pytest

from omnisrc.data.pseudo_clips import IDENTITY, Warp, moving_clip
from omnisrc.data.transforms import Box, crop_resize


def smooth_image(height=60, width=80):
    y, x = np.mgrid[:height, :width]
    channels = [100 + 60 * np.sin(x / 9 + k) * np.cos(y / 11 - k) + 30 * np.sin((x + y) / 7) for k in range(3)]
    return np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)


def test_no_motion_is_replication():
    image, box = smooth_image(), Box(11, 3, 40, 50)
    still = Warp.of(IDENTITY, tuple((0.0,) * 8 for _ in range(8)))
    clip = np.empty((5, 32, 32, 3), np.uint8)
    moving_clip(image, box, still.camera(5, np.random.default_rng(0)), clip)
    plain = np.empty((1, 32, 32, 3), np.uint8)
    crop_resize(image[None], box, plain)
    assert (clip == clip[0]).all()
    assert np.abs(clip[0].astype(int) - plain[0]).mean() < 3  # resized before it is cropped: borders of pixels differ


def test_frames_move_by_the_mean_step_each():
    image = smooth_image()
    step = 2 * 3 / 80  # 3 of 80 pixels, where the still is 2 units wide
    pan = Warp.of((1, 0, step, 0, 1, 0, 0, 0), tuple((0.0,) * 8 for _ in range(8)))
    clip = np.empty((4, 60, 80, 3), np.uint8)
    moving_clip(image, Box(0, 0, 80, 60), pan.camera(4, np.random.default_rng(0)), clip)
    for t in range(4):
        assert np.abs(clip[t, :, 3 * t :].astype(int) - image[:, : 80 - 3 * t]).max() <= 2


def test_the_camera_accumulates_its_steps():
    warp = Warp.of()
    camera = warp.camera(6, np.random.default_rng(3))
    steps = warp.steps(5, np.random.default_rng(3))
    assert np.allclose(camera[0], np.eye(3))
    assert np.allclose(camera[3], steps[2] @ steps[1] @ steps[0])
    assert np.allclose(camera[5], steps[4] @ camera[4])


def test_steps_have_the_given_mean_and_covariance():
    rng = np.random.default_rng(0)
    root = rng.normal(0, 0.01, (8, 8))
    sigma, mu = root @ root.T, np.array(IDENTITY) + 0.01 * np.arange(8)
    warp = Warp.of(tuple(mu), tuple(map(tuple, sigma)))
    steps = warp.steps(200_000, rng).reshape(-1, 9)
    assert (steps[:, 8] == 1).all()
    assert np.abs(steps[:, :8].mean(0) - mu).max() < 5e-4
    assert np.abs(np.cov(steps[:, :8].T) - sigma).max() < 0.02 * sigma.max()


def test_the_default_camera_moves_a_little_and_smoothly():
    corners = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float).T
    moves = []
    for seed in range(200):
        camera = Warp.of().camera(8, np.random.default_rng(seed))
        places = camera @ corners
        places = places[:, :2] / places[:, 2:]
        moves.append(np.abs(np.diff(places, axis=0)).max())
    assert 0.01 < np.median(moves) < 0.1  # between half a per cent and five per cent of the width a frame


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        ((1.0, 0.0), ()),
        (IDENTITY, ((1.0, 0.0), (0.0, 1.0))),
        (IDENTITY, tuple(tuple(-1.0 if i == j else 0.0 for j in range(8)) for i in range(8))),
    ],
)
def test_impossible_parameters_are_refused(mean, covariance):
    with pytest.raises(ValueError, match="warp"):
        Warp.of(mean, covariance)
