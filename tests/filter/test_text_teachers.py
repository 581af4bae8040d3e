"""Teachers that read texts, judging the rendered world: through the command line, and stage by stage."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from sqlalchemy import select

from db.models import Asset, Blob, Prediction, PredictionSet, Sample, Selection, TargetItem, Teacher
from omnisrc.cli.main import run
from omnisrc.data.hashes import scored_hashes
from omnisrc.demo.actions import ACTIONS
from omnisrc.demo.film import jpeg, write_video
from omnisrc.demo.webmedia import Shot, film
from omnisrc.errors import UserError
from omnisrc.filter.forward import Said
from omnisrc.filter.predict import prediction_rows, read_predictions
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import open_teacher
from omnisrc.study import Study
from tests.filter.stages import filter_here, stages_here, tiny_teacher
from tests.filter.web import Item, land
from tests.models.pretrained_folders import FRAMES, SIDE, text_teacher, video_classifier
from tests.models.test_zero_shot import direct as theirs_of

transformers = pytest.importorskip("transformers")
CLASSES = tuple(ACTIONS)[:3]
FOUND = dict.fromkeys(CLASSES, 0)
PLAIN = "filter.prompts=['a photo of {}']"


def rendered_web(study: Study, folder: Path, images: int = 4, clips: int = 1) -> None:
    """Stills and clips of the rendered world, found for all three classes; as large as the networks see them, so that
    nothing is resampled."""
    shots = [Shot((7, number), "action", CLASSES[number % 3], 1.0) for number in range(images + clips)]
    stills = [Item(f"{n}.jpg", FOUND, jpeg(film(shots[n], (SIDE, SIDE), 0.0)[0], 100)) for n in range(images)]
    land(study, stills, CLASSES)
    movies = []
    for number in range(clips):
        write_video(folder / "film.mp4", film(shots[images + number], (SIDE, SIDE), 12.0), 12.0)
        movies.append(Item(f"{number}.mp4", FOUND, (folder / "film.mp4").read_bytes(), medium="video"))
    if movies:
        land(study, movies, CLASSES, name="landing-2")


def judged(study: Study) -> dict[str, tuple[Prediction, PredictionSet]]:
    """By the name of the asset."""
    query = (
        select(Asset.title, Prediction, PredictionSet)
        .join(Blob, Blob.id == Asset.blob_id)
        .join(Sample, Sample.blob_id == Blob.id)
        .join(Prediction, Prediction.sample_id == Sample.id)
        .join(PredictionSet, PredictionSet.id == Prediction.prediction_set_id)
        .order_by(Prediction.id)
    )
    return study.database().read(lambda s: {title: (row, made) for title, row, made in s.execute(query)})


def told(study: Study, **settings: object) -> Study:
    """The study with other settings of the filter."""
    return replace(study, overrides=(f"filter={json.dumps(settings)}",), settings={"filter": settings})


def teachers(study: Study) -> list[Teacher]:
    return study.database().read(lambda s: list(s.scalars(select(Teacher).order_by(Teacher.id))))


def data_of(study: Study, title: str) -> bytes:
    def read(session) -> tuple[str, int, int]:
        blob = session.scalars(select(Blob).join(Asset, Asset.blob_id == Blob.id).where(Asset.title == title)).one()
        return blob.offset, blob.length

    offset, length = study.database().read(read)
    return (study.landing / "landing-1.tar").read_bytes()[offset : offset + length]


def direct(folder: Path, pictures: list[Image.Image], model: type) -> Any:
    """What transformers' own image processor, tokenizer and forward say of pictures."""
    pixels = transformers.CLIPImageProcessor.from_pretrained(folder)(pictures, return_tensors="pt").pixel_values
    texts = [f"a photo of {name}" for name in CLASSES]
    tokens = transformers.CLIPTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        shown = pixels[None] if model is transformers.XCLIPModel else pixels
        return model.from_pretrained(folder).eval()(pixel_values=shown, **tokens)


def direct_clip(folder: Path, video: Path, chosen: tuple[int, ...]) -> np.ndarray:
    """Of a clip by some of its frames."""
    with av.open(str(video)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    assert len(frames) == 12, "four segments of three frames"
    return direct(folder, [frames[at] for at in chosen], transformers.XCLIPModel).logits_per_video[0].numpy()


@pytest.mark.parametrize("workers", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["here", "workers"])
def test_the_command_line_judges_stills_by_clip_and_clips_by_x_clip(
    workers: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not workers:
        stages_here(monkeypatch)
    assert run(["init", "--workspace", str(tmp_path / "study")]) == 0
    study = Study.open(tmp_path / "study")
    rendered_web(study, tmp_path)
    folder = text_teacher(study.models / "clip", "clip")
    elsewhere = text_teacher(tmp_path / "videos" / "x-clip", "xclip", licence=None)
    command = [
        "filter",
        "--image-teacher",
        "clip",
        "--teacher",
        str(elsewhere),
        "--workspace",
        str(study.root),
        "--json",
        "--set",
        "filter.amp=off",
    ]
    capsys.readouterr()
    code = run([*command, "--set", PLAIN, "--set", "filter.leak_checks=0", "--set", "engine.cpu_workers=1"])
    out, said = capsys.readouterr()
    answer = json.loads(out.splitlines()[-1])
    assert code == 0, answer
    assert answer["teachers"] == {
        "image": {"name": "clip", "licence": "mit", "precision": "float32"},
        "clip": {
            "name": "x-clip",
            "licence": "not stated (the authors' xclip weights: MIT)",
            "precision": "float32",
        },
    }
    assert "Teacher of images: clip (licence: mit; float32)." in said
    assert answer["members"]["image"]["found"] == 4 and answer["members"]["clip"] == {"found": 1, "kept": 1}
    found = judged(study)
    for number in range(4):
        prediction, made = found[f"{number}.jpg"]
        picture = Image.open(io.BytesIO(data_of(study, f"{number}.jpg")))
        logits = direct(folder, [picture], transformers.CLIPModel).logits_per_image[0].numpy()
        kept = read_predictions(study.root / made.path)
        assert kept.embedding.shape == (4, 16)
        np.testing.assert_allclose(np.linalg.norm(kept.embedding, axis=1), 1, atol=2e-3)
        np.testing.assert_allclose(kept.logits[prediction.row], logits, atol=4e-3)
        assert [label for label, _ in prediction.top] == np.argsort(-logits).tolist()
        assert prediction.logsumexp == pytest.approx(np.log(np.exp(kept.logits[prediction.row]).sum()), abs=4e-3)
    [clip] = [teacher for teacher in teachers(study) if teacher.name == "x-clip"]
    assert clip.meta["input"]["views"] == 4 and clip.meta["input"]["crop_size"] == SIDE
    prediction, made = found["0.mp4"]
    kept = read_predictions(study.root / made.path).logits[prediction.row]
    np.testing.assert_allclose(kept, direct_clip(elsewhere, (tmp_path / "film.mp4"), (1, 4, 7, 10)), atol=4e-3)
    study.database().dispose()


@pytest.mark.parametrize("kind", ["clip", "siglip", "xclip"])
def test_one_folder_may_judge_both_stills_and_clips(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--image-teacher clip --teacher clip`: both get what transformers says of these frames."""
    stages_here(monkeypatch)
    assert run(["init", "--workspace", str(tmp_path / "study")]) == 0
    study = Study.open(tmp_path / "study")
    rendered_web(study, tmp_path, images=1)
    folder = text_teacher(study.models / kind, kind)
    sets = [PLAIN, "filter.leak_checks=0", "engine.cpu_workers=1", f"filter.segments={FRAMES}", "filter.amp=off"]
    line = ["filter", "--image-teacher", kind, "--teacher", kind, "--workspace", str(study.root), "--json"]
    capsys.readouterr()
    code = run([*line, *(part for each in sets for part in ("--set", each))])
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0, answer
    assert {media: row["found"] for media, row in answer["members"].items()} == {"image": 1, "clip": 1}
    found = judged(study)
    still = np.asarray(Image.open(io.BytesIO(data_of(study, "0.jpg"))).convert("RGB"))
    with av.open(str(tmp_path / "film.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    texts = [f"a photo of {name}" for name in CLASSES]
    for title, shown in (("0.jpg", [still] * FRAMES), ("0.mp4", [frames[at] for at in (1, 4, 7, 10)])):
        prediction, made = found[title]
        kept = read_predictions(study.root / made.path).logits[prediction.row]
        if kind == "xclip":
            theirs = theirs_of(folder, np.stack(shown)[None], texts).logits_per_video[0]
        else:
            said = theirs_of(folder, np.stack(shown)[:, None], texts)
            mean = torch.nn.functional.normalize(said.image_embeds.mean(0), dim=0)
            network = transformers.AutoModel.from_pretrained(folder)
            theirs = said.text_embeds @ mean * network.logit_scale.exp() + getattr(network, "logit_bias", 0)
        np.testing.assert_allclose(kept, theirs.detach().numpy(), atol=4e-3)
    study.database().dispose()


def test_siglip_may_find_none_of_the_classes(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered_web(study, tmp_path, images=3, clips=0)
    text_teacher(study.models / "siglip", "siglip")
    outcome = filter_here(study, monkeypatch, image_teacher="siglip", pack=False)
    assert outcome.members["image"]["kept"] == 3
    for prediction, made in judged(study).values():
        logits = read_predictions(study.root / made.path).logits[prediction.row].astype(float)
        odds = np.exp(logits)
        label, best = prediction.top[0]
        probability = np.exp(best - prediction.logsumexp)
        assert probability == pytest.approx(odds[label] / (1 + odds.sum()), abs=2e-3)
        assert probability < min(1 / (1 + np.exp(-best)), np.exp(best) / odds.sum())


def test_at_most_one_class_is_true_is_what_a_sigmoids_probability_assumes() -> None:
    """Against the sum over all worlds in which each class is true or not, given that at most one is."""
    logits = np.array([[0.3, -1.2, 2.0]])
    chance = 1 / (1 + np.exp(-logits[0]))
    worlds = {None: np.prod(1 - chance)}
    for label in range(3):
        worlds[label] = chance[label] * np.prod(np.delete(1 - chance, label))
    said = Said(np.array([5]), logits.astype(np.float32), np.zeros((1, 1), np.float32), exclusive=False)
    [row] = prediction_rows(said, {5: [1]})
    for label, logit in row["top"]:
        assert np.exp(logit - row["logsumexp"]) == pytest.approx(worlds[label] / sum(worlds.values()), rel=1e-5)


def test_other_sentences_or_other_weights_are_another_teacher(study: Study, tmp_path: Path) -> None:
    from omnisrc.classes import class_list_of

    folder, mine = text_teacher(study.models / "clip", "clip"), class_list_of(CLASSES, "mine")

    def fingerprint(settings: FilterSettings) -> str:
        return open_teacher(study, "clip", settings, mine).fingerprint

    first = fingerprint(FilterSettings())
    assert fingerprint(FilterSettings()) == first
    others = {
        fingerprint(FilterSettings(prompts=("{}",))),
        fingerprint(FilterSettings(class_prompts={CLASSES[0]: ("a heavy ball on a chain",)})),
        open_teacher(study, "clip", FilterSettings(), class_list_of(CLASSES[:2], "mine")).fingerprint,
    }
    text_teacher(folder, "clip", seed=1)
    others.add(fingerprint(FilterSettings()))
    assert len(others | {first}) == 5


def test_new_sentences_are_judged_anew_and_old_ones_are_kept(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered_web(study, tmp_path, images=2, clips=1)
    text_teacher(study.models / "clip", "clip")
    filter_here(study, monkeypatch, teacher="clip", pack=False)
    first = {title: row.top for title, (row, _) in judged(study).items()}
    filter_here(told(study, prompts=["somebody doing {} outside"]), monkeypatch, teacher="clip", pack=False)
    second = {title: row.top for title, (row, _) in judged(study).items()}
    assert len(teachers(study)) == 2 and first.keys() == second.keys() and first != second
    recorded = [teacher.meta["prompts"] for teacher in teachers(study)]
    assert recorded[1]["templates"] == ["somebody doing {} outside"] and recorded[1]["names"] == list(CLASSES)
    newest = study.database().read(lambda s: s.scalars(select(Selection).order_by(Selection.id.desc())).first())
    assert newest.teachers == {"image": 2, "clip": 2}


def test_clip_can_be_the_trunk_whose_embeddings_find_copies(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered_web(study, tmp_path, images=3, clips=1)
    copied = TargetItem(class_list_id=1, path=str(tmp_path / "film.mp4"), label=0, split="test", state="stored",
                        medium="video", hashes=scored_hashes([np.zeros((SIDE, SIDE, 3), np.uint8)], 1))  # fmt: skip
    study.database().write(lambda session: session.add(copied))
    text_teacher(study.models / "clip", "clip")
    filter_here(told(study, trunk="clip"), monkeypatch, rule="all", pack=False)
    [trunk] = teachers(study)
    assert trunk.meta["num_classes"] == 0 and "prompts" not in trunk.meta
    sets = study.database().read(lambda s: list(s.scalars(select(PredictionSet).order_by(PredictionSet.id))))
    found = [np.load(study.root / made.path)["embedding"] for made in sets]
    assert [each.shape for each in found] == [(3, 16), (8, 16)]
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(found).astype(float), axis=1), 1, atol=2e-3)


def test_mistakes_are_one_sentence(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered_web(study, tmp_path, images=1, clips=0)
    with pytest.raises(UserError, match=r"no folder .*models/clip .*hf download openai/clip-vit-base-patch32"):
        filter_here(study, monkeypatch, teacher="clip")
    text_teacher(study.models / "clip", "clip")
    with pytest.raises(UserError, match=r"class_prompts.hamer throwing names no class of mine. Did you mean hammer"):
        filter_here(told(study, class_prompts={"hamer throwing": ["x"]}), monkeypatch, teacher="clip")
    with pytest.raises(ValueError, match=r"no \{\}, where the class goes"):
        FilterSettings(prompts=("a photo",))


def test_a_folder_with_a_video_classifier_of_the_studys_classes_judges_too(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered_web(study, tmp_path, images=1, clips=1)
    folder = video_classifier(study.models / "videomae", "videomae_b", list(CLASSES), licence="cc-by-nc-4.0")
    outcome = filter_here(told(study, amp="off"), monkeypatch, teacher="videomae", pack=False)
    assert outcome.teachers["clip"] == {"name": "videomae", "licence": "cc-by-nc-4.0", "precision": "float32"}
    prediction, made = judged(study)["0.jpg"]
    still = np.array(Image.open(io.BytesIO(data_of(study, "0.jpg"))))
    pixels = transformers.VideoMAEImageProcessor.from_pretrained(folder)([[still] * 4], return_tensors="pt")
    with torch.no_grad():
        logits = transformers.VideoMAEForVideoClassification.from_pretrained(folder).eval()(**pixels).logits[0]
    kept = read_predictions(study.root / made.path).logits[prediction.row]
    np.testing.assert_allclose(kept, logits.numpy(), atol=4e-3)
    video_classifier(study.models / "other", "videomae_b", ["a", "b", "c"])
    with pytest.raises(UserError, match="needs a mapping"):
        filter_here(study, monkeypatch, teacher="other", pack=False)


def test_a_weights_file_of_that_name_is_still_found(study: Study) -> None:
    tiny_teacher(study.models / "clip.safetensors")
    assert open_teacher(study, "clip", FilterSettings()).name == "clip"
