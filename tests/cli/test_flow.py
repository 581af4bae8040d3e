import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from omnisrc.cli.main import run
from omnisrc.errors import UserError
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import open_teacher
from omnisrc.models import load_model, read_meta
from omnisrc.train.run_folder import weights_of
from tests.flow.moving_world import CLASSES, STEPS, moving, write_moving_world
from tests.media_files import video_bytes
from tests.mixed_world import record_world, write_world

SMALL = [
    "train.model_args={width: 8, dropout: 0.0}", "train.crop_size=48", "train.short_side=56",
    "train.crop_area=[0.5, 1.0]", "train.batch_size=8", "train.flip=0", "train.threads=1", "train.device=cpu",
    "train.lr=0.02", "eval.clips=3", "eval.crops=1", "eval.device=cpu", "eval.threads=1",
]  # fmt: skip


def omnisrc(capsys, study, *arguments, sets=()):
    """Exit code, the object of --json, and what was said."""
    line = [*map(str, arguments), "--workspace", str(study.root), "--json"]
    for setting in sets:
        line += ["--set", setting]
    code = run(line)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out), " ".join(said.err.split())


def test_flow_tells_directions_that_no_frame_tells(study, capsys, tmp_path):
    write_moving_world(study, {"train": 24, "val": 4, "test": 24})
    study.database().dispose()
    flow = [*SMALL, "train.modality=flow"]
    train = ("train", "--mix", "target", "--model", "tsn_r18", "--steps", "60")

    code, _, said = omnisrc(capsys, study, *train, "--name", "early", sets=flow)
    assert code == 2 and "extract it with `omnisrc flow`" in said

    code, made, _ = omnisrc(capsys, study, "flow", "--split", "train")
    assert code == 0 and (made["made"], made["fields"]) == (24, 24 * 9) and made["cache"] == "dis-b20"
    code, _, said = omnisrc(capsys, study, *train, "--name", "early", sets=flow)
    assert code == 2 and "`omnisrc flow --split val --method dis --bound 20 --cache dis-b20`" in said
    code, made, _ = omnisrc(capsys, study, "flow")
    assert code == 0 and (made["made"], made["there"]) == (28, 24)

    top1 = {}
    for modality, sets in (("flow", flow), ("rgb", SMALL)):
        code, trained, _ = omnisrc(capsys, study, *train, "--name", modality, sets=sets)
        assert code == 0 and trained["steps"] == 60
        code, scored, _ = omnisrc(capsys, study, "eval", "--run", modality, sets=SMALL)
        assert code == 0 and scored["samples"] == scored["expected"] == 24
        top1[modality] = scored["top1"]
    assert top1["flow"] >= 0.9 and top1["rgb"] <= 0.6, top1

    dumps = [pq.read_table(study.runs / name / "eval" / "test" / "predictions.parquet") for name in ("flow", "rgb")]
    assert dumps[0]["sample"].to_pylist() == dumps[1]["sample"].to_pylist()  # the dumps of both streams fuse by id
    meta = read_meta(weights_of(study.runs, "flow"))
    assert meta["flow"]["cache"] == "dis-b20" and meta["flow"]["method"] == "dis" and meta["modality"] == "flow"
    model, _ = load_model(weights_of(study.runs, "flow"))
    assert model.input.channels == 10 and model.input.clip_len == 5 and len(CLASSES) == model.num_classes

    code, fused, _ = omnisrc(capsys, study, "scores", "fuse", "flow", "rgb", "--weights", "1.5,1")
    assert code == 0 and fused["samples"] == 24 and fused["top1"] > top1["rgb"]

    folder = tmp_path / "videos"
    folder.mkdir()
    for number, name in enumerate(CLASSES):
        data = video_bytes(moving(STEPS[name], [99, number], 10), options={"crf": "12"})
        (folder / f"{name}.mp4").write_bytes(data)
    code, said, shown = omnisrc(capsys, study, "predict", folder, "--model", "flow", sets=["eval.device=cpu"])
    assert code == 0 and "Note" not in shown and said["flow"]["version"] == meta["flow"]["version"]
    found = {Path(each["name"]).stem: each["labels"][0]["name"] for each in said["inputs"]}
    assert found == {name: name for name in CLASSES}  # of videos that are in no cache

    begun = ["train.partial_bn=statistics", "train.first_conv_lr=5"]
    line = ("train", "--mix", "target", "--model", "tsn_r18", "--steps", "2", "--name", "crossed")
    init = weights_of(study.runs, "rgb")
    code, _, _ = omnisrc(capsys, study, *line, "--init", init, sets=[*flow, *begun])
    assert code == 0
    before, after = load_file(init), load_file(study.runs / "crossed" / "last.safetensors")
    moved = {key for key in before if "running" in key and not torch.equal(before[key], after[key])}
    assert moved == {"trunk.bn1.running_mean", "trunk.bn1.running_var"}  # partial batch norm
    mean = before["trunk.conv1.weight"].mean(1, keepdim=True)
    near = (after["trunk.conv1.weight"] - mean).abs().max() / mean.abs().max()
    assert after["trunk.conv1.weight"].shape[1] == 10 and 0 < near < 0.5  # began as the mean over RGB


def test_web_clips_have_flow_too_and_stills_are_refused(study, capsys):
    counts = {("target", "train"): 4, ("target", "val"): 2, ("web-clip", "train"): 4, ("web-image", "train"): 2}
    manifest = write_world(study.root, counts)
    record_world(study, manifest)
    study.database().dispose()
    sets = [*SMALL, "train.modality=flow", "train.batch_size=2"]
    train = ("train", "--model", "tsn_r18", "--steps", "2", "--name", "mixed")
    assert omnisrc(capsys, study, "flow", "--split", "all")[1]["made"] == 6
    code, _, said = omnisrc(capsys, study, *train, "--mix", "target,web-clip", sets=sets)
    assert code == 2 and "`omnisrc flow --web --method dis --bound 20 --cache dis-b20`" in said
    assert omnisrc(capsys, study, "flow", "--web")[1]["made"] == 4
    code, _, said = omnisrc(capsys, study, *train, "--mix", "target,web", sets=sets)
    assert code == 2 and "The source web-image holds still images, in which nothing moves" in said
    code, trained, _ = omnisrc(capsys, study, *train, "--mix", "target,web-clip", sets=[*sets, "train.workers=1"])
    assert code == 0 and trained["sources"] == {"target": 4, "web-clip": 4} and trained["skips"] == 0
    with pytest.raises(UserError, match="sees optical flow, and what was crawled is judged by its frames"):
        open_teacher(study, "mixed", FilterSettings())
    code, _, said = omnisrc(capsys, study, *train, "--mix", "target", sets=[*sets, "train.clip_len=10"])
    assert code == 2 and "train.model_args={in_channels: 20}" in said
