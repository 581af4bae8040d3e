"""Every option that takes weights takes the same: files, runs, names in models/, released names, URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnisrc.models import released, save_weights
from omnisrc.models.released import RELEASED, Released
from omnisrc.study import Study
from tests.cli.taking_weights import COUNT, omnisrc
from tests.local_web import LocalWeb
from tests.models.networks import seasoned

ASKING = ("eval", "predict", "features", "train", "filter", "show")


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    save_weights(seasoned("slowonly_r18", COUNT), tmp_path / "made.safetensors", {})
    return (tmp_path / "made.safetensors").read_bytes()


@pytest.fixture
def tiny(web: LocalWeb, weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A released network of a mirror."""
    digits = hashlib.sha256(weights).hexdigest()[:8]
    row = Released("slowonly_tiny", "slowonly_r18", RELEASED[0].sampling, "", 1.0, 2.0, "", "t/", "tiny", digits)
    monkeypatch.setattr(released, "RELEASED", (*RELEASED, row))
    web.add(f"/t/{row.file}", weights)
    return row


@pytest.mark.parametrize("verb", ASKING)
def test_a_released_network_that_is_lacking_is_named_with_the_command_that_fetches_it(
    verb: str,
    weights_world: Study,
    web: LocalWeb,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, answer = omnisrc(capsys, weights_world, verb, "slowonly_r50_8x8_k400_omni")
    assert code == 2 and "did you mean" in answer["error"]
    code, answer = omnisrc(capsys, weights_world, verb, "slowonly_r50_4x16_k400_omni")
    if verb == "show":
        assert code == 0 and answer["here"] is False
        return
    assert code == 2 and web.asked == []
    for part in (
        "https://download.openmmlab.com/",
        "-51b1f7ea.pth",
        "`omnisrc models add slowonly_r50_4x16_k400_omni`",
    ):
        assert part in answer["error"]


@pytest.mark.parametrize("verb", ["eval", "predict", "train"])
def test_a_released_name_a_name_in_models_and_a_url_are_the_same_weights(
    verb: str,
    weights_world: Study,
    web: LocalWeb,
    tiny: Released,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leave = ("models.download=true", f"models.mirror={web.url}")
    for given in ("slowonly_tiny", tiny.file, f"{web.url}/t/{tiny.file}"):
        code, answer = omnisrc(capsys, weights_world, verb, given, *leave)
        assert code == 0, (given, answer)
    assert web.count(f"/t/{tiny.file}") == 1 and (weights_world.models / tiny.file).is_file()


def test_a_teachers_url_is_fetched_once_and_judges(
    weights_world: Study,
    web: LocalWeb,
    tiny: Released,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mirror = (f"models.mirror={web.url}",)
    for given in (f"{web.url}/t/{tiny.file}", "slowonly_tiny"):
        code, answer = omnisrc(capsys, weights_world, "filter", given, *mirror)
        assert code == 0 and answer["members"]["image"]["found"] == 1, answer
    assert web.count(f"/t/{tiny.file}") == 1


@pytest.mark.parametrize("verb", ASKING)
def test_without_a_network_one_sentence_names_the_file_and_what_helps(
    verb: str,
    weights_world: Study,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = "https://weights.invalid/tiny-1a2b3c4d.pth"
    code, answer = omnisrc(capsys, weights_world, verb, url)
    assert code == 1 and "\n" not in answer["error"]
    assert url in answer["error"] and "`omnisrc models add FILE`" in answer["error"]
