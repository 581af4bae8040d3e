import numpy as np
import pytest
import torch

from omnisrc.data.augment import Augmentation, as_clips, augment, fitted, mixup, normalise
from omnisrc.data.draws import seeds_at

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def frames(count=8, views=2, length=3, size=10, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, views, length, size, size, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(0, 1, 5, 2, 3, 4)


def seeds(count=8):
    return seeds_at(7, np.arange(count))


def test_normalise_by_hand_keeps_shape_and_layout():
    pixels = frames()
    got = normalise(pixels, MEAN, STD)
    wanted = (pixels.float() - torch.tensor(MEAN).view(-1, 1, 1, 1)) / torch.tensor(STD).view(-1, 1, 1, 1)
    assert got.shape == pixels.shape and torch.allclose(got, wanted, atol=1e-5)
    assert got.stride() == pixels.stride()


def test_a_sample_is_flipped_whole_or_not_at_all_as_its_seed_says():
    pixels, plain = frames(400), normalise(frames(400), MEAN, STD)
    got = augment(pixels, seeds(400), Augmentation(), MEAN, STD)
    flipped = [torch.equal(got[k], plain[k].flip(-1)) for k in range(400)]
    kept = [torch.equal(got[k], plain[k]) for k in range(400)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 160 < sum(flipped) < 240
    part = augment(pixels[1::2], seeds(400)[1::2], Augmentation(), MEAN, STD)
    assert torch.equal(part, got[1::2])  # a rank's slice sees the same
    assert torch.equal(augment(pixels, seeds(400), Augmentation(flip=0), MEAN, STD), plain)
    assert torch.equal(augment(pixels, seeds(400), Augmentation(flip=1), MEAN, STD), plain.flip(-1))


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colour_changes_one_factor_a_sample(name):
    pixels = frames() // 4 + 90  # far from 0 and 255, where values are cut off
    how = Augmentation(flip=0, **{name: 0.3})
    got = augment(pixels, seeds(), how, (0, 0, 0), (1, 1, 1))
    plain = pixels.float()
    grey = (plain * torch.tensor((0.299, 0.587, 0.114)).view(3, 1, 1, 1)).sum(2, keepdim=True)
    still = {
        "brightness": torch.zeros(8, 1, 1, 1, 1, 1),
        "contrast": grey.mean((1, 2, 3, 4, 5), keepdim=True),
        "saturation": grey,
    }[name]
    apart = (plain - still).abs() > 3
    factor = (got - still) / torch.where(apart, plain - still, 1.0)
    for k in range(8):
        found = factor[k][apart.expand_as(factor)[k]]
        assert found.min() >= 0.7 and found.max() <= 1.3
        assert found.std() < 1e-2
    assert len({round(factor[k][apart.expand_as(factor)[k]].mean().item(), 3) for k in range(8)}) == 8
    assert torch.equal(got, augment(pixels, seeds(), how, (0, 0, 0), (1, 1, 1)))


def test_colour_stays_in_range_and_needs_three_channels_in_order():
    pixels = torch.zeros(2, 1, 3, 1, 4, 4, dtype=torch.uint8)
    pixels[:, :, 0] = 255
    got = augment(pixels, seeds(2), Augmentation(0, 0.9, 0.9, 0.9), (0, 0, 0), (1, 1, 1))
    assert got.min() >= 0 and got.max() <= 255
    assert (got[:, :, 0] > got[:, :, 1]).all()  # red stays the strongest


def test_stills_become_clips_without_a_copy():
    still = normalise(frames(length=1), MEAN, STD)
    clip = as_clips(still, 5)
    assert clip.shape == (8, 2, 3, 5, 10, 10) and clip.data_ptr() == still.data_ptr()
    assert (clip == clip[:, :, :, :1]).all()
    assert as_clips(clip, 5) is clip and as_clips(still, 1) is still


def test_mixup_blends_frames_and_labels_by_the_same_share():
    torch.manual_seed(0)
    pixels = torch.rand(6, 1, 3, 2, 4, 4)
    labels = torch.eye(6)
    [mixed], [soft] = mixup([pixels], [labels], 0.4, "within", np.random.default_rng(3))
    assert torch.allclose(soft.sum(1), torch.ones(6))
    assert torch.allclose(mixed, torch.einsum("bk,kvcthw->bvcthw", soft, pixels), atol=1e-6)


def test_mixup_across_pairs_with_the_other_source():
    target, web = torch.zeros(6, 1, 3, 4, 4, 4), torch.ones(3, 1, 3, 1, 4, 4)
    labels = [torch.tensor([[1.0, 0.0]]).repeat(6, 1), torch.tensor([[0.0, 1.0]]).repeat(3, 1)]
    (a, b), (la, lb) = mixup([target, web], labels, 1.0, "across", np.random.default_rng(0))
    assert a.shape == target.shape and b.shape == web.shape
    assert torch.allclose(a[:, 0, 0, 0, 0, 0], la[:, 1]) and torch.allclose(b[:, 0, 0, 0, 0, 0], lb[:, 1])
    assert la[:, 1].min() > 0 and la[:, 1].max() < 1


def test_mixup_shares_follow_beta():
    pixels, labels = torch.zeros(20_000, 1, 1, 1, 1, 1), torch.zeros(20_000, 2)
    labels[:, 0] = 1
    other = [torch.zeros(4, 1, 1, 1, 1, 1), torch.tensor([[0.0, 1.0]]).repeat(4, 1)]
    _, (soft, _) = mixup([pixels, other[0]], [labels, other[1]], 0.2, "across", np.random.default_rng(0))
    shares = soft[:, 0]
    assert abs(shares.mean() - 0.5) < 0.01
    assert abs(shares.var() - 1 / (4 * (2 * 0.2 + 1))) < 0.005  # variance of Beta(a, a)


def test_fitted_repeats_or_cuts_views_and_frames():
    clip = torch.arange(2 * 3).float().view(1, 2, 1, 3, 1, 1)
    assert fitted(clip, torch.zeros(1, 1, 1, 2, 1, 1)).flatten().tolist() == [0, 1]
    assert fitted(clip[:, :1, :, :1], torch.zeros(1, 3, 1, 2, 1, 1)).flatten().tolist() == [0] * 6
