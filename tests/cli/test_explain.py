"""`omnisrc explain`: the files that it writes, and what it says where a method is not to be had."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.cli.looking import CLASSES, omnisrc, video, weights
from tests.mixed_world import still_bytes

WITHOUT = ("activation", "cam")
METHODS = (*WITHOUT, *(("gradcam", "guided-gradcam") if importlib.util.find_spec("captum") else ()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["slowonly_r18", "tsn_r18"])
def test_a_sheet_a_film_and_the_numbers_are_written(tmp_path: Path, capsys, name, method):
    net, clip = weights(tmp_path / "net.safetensors", name, classes=list(CLASSES)), video(tmp_path / "a.mp4")
    out = tmp_path / "out"
    code, said, shown = omnisrc(
        capsys, "explain", clip, "--model", net, "--method", method, "--class", "Jump", "-o", out
    )
    assert code == 0 and said["class"] == "jump" and "jump" in shown, said
    frames = 4 if name == "slowonly_r18" else 3
    sheet = cv2.imread(said["sheet"])
    assert sheet.shape[0] > 2 * 224 and sheet.shape[1] == frames * 228 - 4
    with av.open(said["video"]) as film:
        assert len(list(film.decode(video=0))) == frames
    with np.load(said["numbers"]) as numbers:
        assert numbers["heat"].shape == (frames, 32, 32) and 0 <= numbers["heat"].min() <= numbers["heat"].max() <= 1
        assert numbers["seconds"].shape == (frames,) and np.all(np.diff(numbers["seconds"]) > 0)


def test_explanations_are_made_in_float32_whatever_scores_are_made_in(tmp_path: Path, capsys):
    net, clip = weights(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4")
    said = [
        omnisrc(
            capsys, "explain", clip, "--model", net, "-o", tmp_path / amp, "--method", "cam", sets=[f"eval.amp={amp}"]
        )
        for amp in ("off", "bf16")
    ]
    assert said[0][0] == 0 and said[0][1]["probability"] == said[1][1]["probability"]
    told = [omnisrc(capsys, "predict", clip, "--model", net, sets=[f"eval.amp={amp}"])[1] for amp in ("off", "bf16")]
    assert [each["precision"] for each in told] == ["float32", "bf16"]
    scores = [each["inputs"][0]["labels"][0]["score"] for each in told]
    assert scores[0] != scores[1] and scores[0] == pytest.approx(scores[1], abs=0.05)


def test_an_image_can_be_explained(tmp_path: Path, capsys):
    net, still = weights(tmp_path / "net.safetensors", "tsn_r18"), tmp_path / "a.jpg"
    still.write_bytes(still_bytes(0, 1))
    code, said, _ = omnisrc(capsys, "explain", still, "--model", net, "--method", "cam", "-o", tmp_path / "out")
    assert code == 0 and Path(said["sheet"]).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--class", "jmup"], 2, "Did you mean jump"),
        (["--stage", "layer8"], 2, "its stages are layer1, layer2, layer3, layer4"),
        (["--method", "lime"], 2, "There is no method 'lime'"),
        (["--method", "cam", "--stage", "layer2"], 2, "use --method gradcam for layer2"),
        (["--start", "99"], 2, "There is no frame from --start 99 on: the video has 3 s"),
        (["-o", "/proc/nowhere"], 1, "/proc/nowhere/a-cam.png could not be written"),
    ],
)
def test_mistakes_end_with_one_sentence(tmp_path: Path, capsys, arguments, code, sentence):
    net, clip = weights(tmp_path / "net.safetensors", classes=list(CLASSES)), video(tmp_path / "a.mp4")
    given = arguments if "--method" in arguments else ["--method", "cam", *arguments]
    got, said, _ = omnisrc(capsys, "explain", clip, "--model", net, "-o", tmp_path / "out", *given)
    assert got == code and sentence in said["error"], said
