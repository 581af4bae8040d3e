"""`omnisrc predict`, `explain` and `features` with recognisers of optical flow: what they are shown is what a cache
would hold."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from omnisrc.flow.run import Wish, extract_flow
from omnisrc.media.flow import PackedFlow
from omnisrc.models import load_model, save_weights
from omnisrc.shards.read import ShardReader
from omnisrc.study import Study
from tests.cli.looking import omnisrc
from tests.flow.moving_world import CLASSES, moving
from tests.media_files import image_bytes, video_bytes
from tests.models.networks import seasoned

SIDE = 64
FLOW = {"method": "dis", "bound": 20.0, "short_side": 48, "format": "jpeg", "quality": 95, "version": "OpenCV",
        "cache": "dis-b20"}  # fmt: skip
SAMPLING = {"clip_len": 4, "frame_interval": 2, "num_segments": 1, "crop_size": 32, "short_side": 36}
FLAT = {**SAMPLING, "clip_len": 5, "frame_interval": 1, "num_segments": 2}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No workspace in sight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNISRC_HOME", raising=False)


def weights(path: Path, name: str = "slowonly_r18", flow: dict | None = FLOW) -> Path:
    torch.manual_seed(3)
    model = seasoned(name, 4, dropout=0.0, modality="flow")
    with torch.no_grad():
        view = torch.randn(4, 1, model.input.channels, 1, 32, 32)
        features = model.features(view)
        model.head.fc.weight.normal_().div_((features - features.mean(0)).norm(dim=1).mean())
        model.head.fc.bias.copy_(-model.head.fc.weight @ features.mean(0))
    said = {"classes": list(CLASSES), "sampling": SAMPLING if name.startswith("slow") else FLAT}
    save_weights(model, path, {**said, **({"flow": flow} if flow else {})})
    return path


def video(path: Path, count: int = 24, step: tuple[int, int] = (2, 0), seed: int = 1, fps: float = 8) -> Path:
    path.write_bytes(video_bytes(moving(step, seed, count, SIDE), fps=fps))
    return path


def cached_fields(tmp_path: Path, clip: Path, **settings: object) -> np.ndarray:
    """(N - 1, H, W, 2): what `omnisrc flow` keeps of a video."""
    sets = tuple(f"flow.{key}={value}" for key, value in settings.items())
    cache, done = extract_flow(Study.open(tmp_path / "workspace", sets), Wish(clip))
    assert done.made == 1
    [shard] = cache.folder.rglob("*.tar")
    packed = PackedFlow(ShardReader(shard).get(shard.stem)["zip"])
    return np.stack(list(packed.fields(range(len(packed)))))


def shown(fields: np.ndarray) -> torch.Tensor:
    """Fields (n, 48, 48, 2) -> (2, n, 32, 32): brought down to 36, their middle, scaled."""
    small = np.stack([cv2.resize(field, (36, 36), interpolation=cv2.INTER_LINEAR) for field in fields])
    return torch.from_numpy((small[:, 2:34, 2:34].astype(np.float32) - 128) / 128).permute(3, 0, 1, 2)


def scores(labels: list[dict]) -> np.ndarray:
    return np.array([label["score"] for label in sorted(labels, key=lambda label: label["index"])])


def test_a_3d_network_is_shown_the_fields_that_a_cache_holds(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4")
    code, said, told = omnisrc(capsys, "predict", clip, "--model", net, "--window", 1)
    assert code == 0 and "Note" not in told
    assert {key: said["flow"][key] for key in FLOW if key not in ("version", "cache")} == {
        key: value for key, value in FLOW.items() if key not in ("version", "cache")
    }
    [found] = said["inputs"]
    assert [window["start"] for window in found["windows"]] == [0, 1, 2]
    fields, model = cached_fields(tmp_path, clip, short_side=48), load_model(net)[0].eval()
    for number, window in enumerate(found["windows"]):
        # Eight frames have seven fields; the clip of four, two apart, spans all of them.
        chosen = 8 * number + np.array([0, 2, 4, 6])
        with torch.no_grad():
            expected = torch.softmax(model(shown(fields[chosen])[None, None]), 1)[0]
        assert np.allclose(scores(window["labels"]), expected.numpy(), atol=1e-4), number


def test_a_2d_network_is_shown_stacked_fields(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors", "tsn_r18"), video(tmp_path / "a.mp4", step=(0, -2))
    found = omnisrc(capsys, "predict", clip, "--model", net, "--window", 99)[1]["inputs"][0]
    fields, model = cached_fields(tmp_path, clip, short_side=48), load_model(net)[0].eval()
    stacks = []
    for first in (0, 18):  # 23 fields; the two clips of five at both ends
        view = shown(fields[first : first + 5])  # (2, 5, 32, 32)
        stacks.append(view.transpose(0, 1).reshape(10, 1, 32, 32))  # x and y of the first, x and y of the second
    with torch.no_grad():
        expected = torch.softmax(model(torch.stack(stacks)[None]), 1)[0]
    assert np.allclose(scores(found["labels"]), expected.numpy(), atol=1e-4)


def test_features_of_flow_say_how_it_was_made_and_a_folder_takes_one_kind(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4")
    code, said, _ = omnisrc(capsys, "features", clip, "--model", net, "--window", 1, "-o", "feats")
    assert code == 0 and said["windows"] == 3
    made = np.load(tmp_path / "feats" / "a.npy")
    fields, model = cached_fields(tmp_path, clip, short_side=48), load_model(net)[0].eval()
    with torch.no_grad():
        expected = model.features(shown(fields[[8, 10, 12, 14]])[None, None])[0]
    assert np.allclose(made[1], expected.numpy(), atol=1e-4)
    assert json.loads((tmp_path / "feats" / "features.json").read_text())["flow"]["method"] == "dis"
    again = ("features", clip, "--model", net, "--window", 1, "-o", "feats")
    assert omnisrc(capsys, *again)[1]["there"] == 1
    code, said, _ = omnisrc(capsys, *again, "--flow-method", "farneback")
    assert code == 2 and "made with another flow" in said["error"]


@pytest.mark.parametrize("name", ["slowonly_r18", "tsn_r18"])
def test_an_explanation_shows_the_flow_beside_heat_on_the_frames(tmp_path, capsys, name):
    net, clip = weights(tmp_path / "net.safetensors", name), video(tmp_path / "a.mp4")
    methods = ["cam", *(["gradcam", "guided-backprop"] if importlib.util.find_spec("captum") else [])]
    for method in methods:
        code, said, _ = omnisrc(
            capsys, "explain", clip, "--model", net, "--method", method, "--class", "left", "-o", "out"
        )
        assert code == 0 and said["class"] == "left" and said["flow"]["method"] == "dis", said
        count = 4 if name == "slowonly_r18" else 10
        with np.load(said["numbers"]) as numbers:
            assert numbers["frames"].shape[-1] == 2 and numbers["heat"].shape == (count, 32, 32)
        sheet = cv2.cvtColor(cv2.imread(said["sheet"]), cv2.COLOR_BGR2HSV)
        colour = sheet[80:180, 60:160]  # of the first field, which moves right: red
        assert np.median(colour[..., 1]) > 100 and np.median(np.minimum(colour[..., 0], 180 - colour[..., 0])) < 12


def test_how_flow_is_made_is_the_training_s_unless_another_is_asked_for(tmp_path, capsys):
    clip, net = video(tmp_path / "a.mp4", 10), weights(tmp_path / "net.safetensors")
    code, said, told = omnisrc(capsys, "predict", clip, "--model", net, "--flow-method", "farneback")
    assert code == 0 and said["flow"]["method"] == "farneback" and said["flow"]["short_side"] == 48
    assert "was trained on flow by dis, and is shown farneback" in told
    silent = weights(tmp_path / "silent.safetensors", flow=None)
    code, said, told = omnisrc(capsys, "predict", clip, "--model", silent, sets=("flow.bound=15",))
    assert code == 0 and said["flow"]["bound"] == 15 and "does not say how its flow was made" in told
    for given, words in (
        (("--flow-method", "lucas"), "There is no method 'lucas' of flow"),
        (("--flow-method", "raft"), "RAFT needs weights"),
    ):
        code, said, _ = omnisrc(capsys, "predict", clip, "--model", net, *given)
        assert code == 2 and words in said["error"]
    broken = weights(tmp_path / "broken.safetensors", flow={**FLOW, "bound": "wide"})
    code, said, _ = omnisrc(capsys, "predict", clip, "--model", broken)
    assert code == 2 and "broken.safetensors" in said["error"]
    torch.manual_seed(0)
    save_weights(seasoned("tsn_r18", 4), tmp_path / "rgb.safetensors", {"classes": list(CLASSES)})
    code, said, _ = omnisrc(capsys, "predict", clip, "--model", "rgb.safetensors", "--flow-method", "dis")
    assert code == 2 and "rgb.safetensors sees frames; leave --flow-method dis out" in said["error"]


def test_what_has_no_flow_is_told_and_the_rest_goes_on(tmp_path, capsys):
    net, folder = weights(tmp_path / "net.safetensors"), tmp_path / "in"
    folder.mkdir()
    video(folder / "whole.mp4", 16)
    video(folder / "one.mp4", 1)
    video(folder / "two.mp4", 2)
    (folder / "still.png").write_bytes(image_bytes(kind="PNG"))
    (folder / "text.mp4").write_text("no video")
    code, said, _ = omnisrc(capsys, "predict", folder, "--model", net)
    found = {Path(each["name"]).name: each for each in said["inputs"]}
    assert code == 0 and said["failed"] == 3
    assert "no field of flow between 0 and" in found["one.mp4"]["error"]
    assert "a still has no flow" in found["still.png"]["error"]
    assert "one field of flow and a clip spans 7" in found["two.mp4"]["notes"][0]
    code, said, _ = omnisrc(capsys, "explain", folder / "one.mp4", "--model", net, "--method", "cam")
    assert code == 1 and "no field of flow" in said["error"]


def test_raft_is_asked_for_the_chosen_fields_alone(tmp_path, capsys):
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    save_file(raft_small(weights=None).eval().state_dict(), tmp_path / "raft_small.safetensors")
    raft = {**FLOW, "method": "raft", "weights_sha256": "0" * 64}
    net, clip = weights(tmp_path / "net.safetensors", flow=raft), video(tmp_path / "a.mp4", 4)
    sets = (f"flow.weights={tmp_path / 'raft_small.safetensors'}", "flow.device=cpu")
    code, said, told = omnisrc(capsys, "predict", clip, "--model", net, "--window", 1, sets=sets)
    assert code == 0 and "was trained on flow by RAFT with weights 000" in told
    fields = cached_fields(tmp_path, clip, method="raft", weights=tmp_path / "raft_small.safetensors", device="cpu",
                           short_side=48)  # fmt: skip
    with torch.no_grad():
        expected = torch.softmax(load_model(net)[0].eval()(shown(fields[[0, 2, 1, 0]])[None, None]), 1)[
            0
        ]  # three fields, and round again
    assert np.allclose(scores(said["inputs"][0]["windows"][0]["labels"]), expected.numpy(), atol=2e-3)


@pytest.mark.slow
def test_a_long_video_takes_no_more_memory_than_a_short_one(tmp_path):
    """The peak of the process and of its guards, each run alone."""
    net = weights(tmp_path / "net.safetensors")
    code = (
        "import resource, sys; from omnisrc.cli.main import run; code = run(sys.argv[1:]);"
        "print(code, *(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))"
    )
    peaks = {}
    for seconds in (30, 300):
        clip = tmp_path / f"{seconds}.mp4"
        still = moving((2, 0), 1, 8, 160)
        clip.write_bytes(video_bytes([still[t % 8] for t in range(4 * seconds)], fps=4))
        line = ["predict", str(clip), "--model", str(net), "-o", str(tmp_path / f"{seconds}.jsonl"),
                "--set", "eval.device=cpu", "--set", "media.guard_processes=1"]  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True)
        said, *peaks[seconds] = map(int, done.stdout.split()[-3:])
        assert said == 0, done.stderr
        row = json.loads((tmp_path / f"{seconds}.jsonl").read_text())
        assert len(row["windows"]) == seconds // 2 and row["duration"] == pytest.approx(seconds)
    assert all(long < 1.25 * short for short, long in zip(peaks[30], peaks[300], strict=True)), peaks
