import hashlib
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sqlalchemy import select
from torch._dynamo.utils import counters

from db import ledger
from db.models import Blob, Job, Prediction, PredictionSet, Sample, Teacher
from omnisrc.engine.work import work_once
from omnisrc.errors import UserError
from omnisrc.filter.forward import Judge, Said
from omnisrc.filter.planning import enqueue_predictions, enqueue_segments
from omnisrc.filter.predict import prediction_rows, read_predictions
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import load_teacher, open_teacher, record_teacher
from omnisrc.models import create_model, load_model
from omnisrc.study import Study
from tests.filter.stages import filter_here, tiny_teacher, work
from tests.filter.web import Item, land
from tests.media_files import image_bytes, video_bytes


def prepare(study: Study, items: list[Item], name: str = "landing-1", **teacher):
    """A landed and segmented shard and a recorded teacher: (web, teacher id, path of its weights)."""
    web = land(study, items, name=name)
    study.database().write(enqueue_segments)
    work(study, "segment")
    path = tiny_teacher(study.models / "tiny.safetensors", **teacher)
    opened = open_teacher(study, "tiny", FilterSettings(amp="off"))
    return web, study.database().write(lambda s: record_teacher(s, opened)), path


def predict(study: Study, web, teacher: int) -> list[dict]:
    teachers = {"image": teacher, "clip": teacher}
    study.database().write(lambda s: enqueue_predictions(s, web.class_list, teachers))
    return work(study, "predict")


def rows(study: Study) -> list[tuple[Blob, Prediction]]:
    query = (
        select(Blob, Prediction)
        .join(Sample, Sample.blob_id == Blob.id)
        .join(Prediction, Prediction.sample_id == Sample.id)
        .order_by(Blob.id)
    )
    return study.database().read(lambda s: [tuple(row) for row in s.execute(query)])


def expected(path, data: bytes, repeat: int = 1) -> np.ndarray:
    """Logits of the middle 48 x 48 of a 64 x 48 picture, by Pillow and a plain forward pass."""
    model, _ = load_model(path)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)[:, 8:56]
    scaled = (pixels - np.array(model.input.mean)) / np.array(model.input.std)
    views = torch.from_numpy(scaled).float().permute(2, 0, 1)[None, None, :, None]  # (1, 1, C, 1, H, W)
    with torch.no_grad():
        return model.eval()(views.expand(-1, -1, -1, repeat, -1, -1))[0].numpy()


@pytest.mark.parametrize(("name", "repeat"), [("tsn_r18", 1), ("slowonly_r18", 8)])
def test_predictions_are_those_of_a_plain_forward_pass(study: Study, name: str, repeat: int) -> None:
    pictures = {f"{n}.jpg": image_bytes(64, 48, seed=n) for n in range(5)}
    items = [Item(key, {"pour": 0, "golf": 1}, data) for key, data in pictures.items()]
    web, teacher, path = prepare(study, items, name=name)
    predict(study, web, teacher)
    [made] = study.database().read(lambda s: list(s.scalars(select(PredictionSet))))
    file = study.root / made.path
    said = read_predictions(file)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == made.sha256 and made.count == 5
    for (blob, prediction), (key, data) in zip(rows(study), pictures.items(), strict=True):
        assert blob.id == web.blobs[key]
        logits = expected(path, data, repeat)
        assert said.samples[prediction.row] == prediction.sample_id
        np.testing.assert_allclose(said.logits[prediction.row], logits, atol=4e-3)
        assert [label for label, _ in prediction.top] == np.argsort(-logits).tolist()
        assert prediction.asked == max((0, 1), key=lambda label: logits[label])
        assert prediction.asked_logit == pytest.approx(logits[prediction.asked], abs=2e-3)
        assert prediction.logsumexp == pytest.approx(np.log(np.exp(logits.astype(float)).sum()), abs=2e-3)


def test_two_precisions_are_two_teachers_each_judged_by_as_it_was_planned(study: Study) -> None:
    web, exact, path = prepare(study, [Item("a.jpg", {"golf": 0}, image_bytes(64, 48))])
    rough = open_teacher(study, "tiny", FilterSettings(amp="bf16"))
    narrow = study.database().write(lambda s: record_teacher(s, rough))
    assert narrow != exact and rough.precision == "bf16"
    for teacher in (exact, narrow):
        predict(study, web, teacher)
    sets = study.database().read(lambda s: list(s.scalars(select(PredictionSet).order_by(PredictionSet.id))))
    assert [made.teacher_id for made in sets] == [exact, narrow]
    logits = expected(path, image_bytes(64, 48))
    errors = [np.abs(read_predictions(study.root / made.path).logits[0] - logits).max() for made in sets]
    assert errors[0] < 4e-3 and errors[0] < errors[1] < 0.1


def test_another_machine_goes_on_in_the_precision_in_which_the_teacher_judged(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(study, [Item("a.jpg", {"golf": 0}, image_bytes(64, 48))])
    tiny_teacher(study.models / "tiny.safetensors")

    def filtered(study: Study, **able: bool) -> tuple[str, int]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
        outcome = filter_here(study, monkeypatch, teacher="tiny")
        sets = study.database().read(lambda s: len(list(s.scalars(select(PredictionSet)))))
        return outcome.teachers["image"]["precision"], sets

    assert filtered(study, avx512_bf16=True) == ("bf16", 1)
    assert filtered(study, avx512_bf16=False) == ("bf16", 1)
    exact = replace(study, overrides=("filter.amp=off",), settings={"filter": {"amp": "off"}})
    assert filtered(exact, avx512_bf16=True) == ("float32", 2)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile calls g++")
def test_a_compiled_teacher_says_the_same_and_one_graph_does_for_the_smaller_last_batch(study: Study) -> None:
    (study.root / "omnisrc.yaml").write_text("filter: {compile: true, batch_size: 3}")
    compiled = Study.open(study.root)
    items = [Item(f"{n}.jpg", {"golf": 0}, image_bytes(64, 48, seed=n)) for n in range(4)]
    web, teacher, path = prepare(compiled, items)
    before = counters["stats"]["unique_graphs"]
    predict(compiled, web, teacher)
    assert counters["stats"]["unique_graphs"] == before + 1
    [made] = study.database().read(lambda s: list(s.scalars(select(PredictionSet))))
    for said, number in zip(read_predictions(study.root / made.path).logits, range(4), strict=True):
        np.testing.assert_allclose(said, expected(path, image_bytes(64, 48, seed=number)), atol=4e-3)


def test_a_clip_is_judged_by_frames_spread_over_its_window(study: Study) -> None:
    web, teacher, _ = prepare(study, [Item("a.mp4", {"golf": 0}, video_bytes(40, width=64, height=48), medium="video")])
    predict(study, web, teacher)
    [(_, prediction)] = rows(study)
    assert prediction.asked == 0 and len(prediction.top) == 3
    meta = study.database().read(lambda s: s.get_one(Teacher, teacher)).meta
    assert meta["input"]["views"] == 8 and meta["input"]["crop_size"] == 48


def test_only_what_is_new_is_judged_and_the_file_holds_all(study: Study) -> None:
    items = [Item(f"{n}.jpg", {"golf": n}, image_bytes(64, 48, seed=n)) for n in range(6)]
    web = land(study, items)
    path = study.landing / "landing-1.tar"
    whole, cut = path.read_bytes(), study.database().read(lambda s: s.get_one(Blob, web.blobs["4.jpg"])).offset
    path.write_bytes(whole[: cut + 5])
    study.database().write(enqueue_segments)
    work(study, "segment")
    tiny_teacher(study.models / "tiny.safetensors")
    opened = open_teacher(study, "tiny", FilterSettings(amp="off"))
    teacher = study.database().write(lambda s: record_teacher(s, opened))
    predict(study, web, teacher)
    [first] = study.database().read(lambda s: list(s.scalars(select(PredictionSet))))
    assert first.count == 4 and predict(study, web, teacher)[-1]["judged"] == 4
    path.write_bytes(whole)
    study.database().write(enqueue_segments)
    work(study, "segment")
    assert predict(study, web, teacher)[-1]["judged"] == 2
    [second] = study.database().read(lambda s: list(s.scalars(select(PredictionSet))))
    said = read_predictions(study.root / second.path)
    assert second.count == 6 and not (study.root / first.path).exists()
    assert [(p.row, p.sample_id) for _, p in rows(study)] == list(enumerate(said.samples.tolist()))


def test_samples_that_cannot_be_shown_do_not_stop_the_others(study: Study) -> None:
    items = [Item(f"{n}.jpg", {"golf": n}, image_bytes(64, 48, seed=n)) for n in range(4)]
    web, teacher, _ = prepare(study, items)
    path = study.landing / "landing-1.tar"
    blobs = {n: study.database().read(lambda s, n=n: s.get_one(Blob, web.blobs[f"{n}.jpg"])) for n in (1, 3)}
    data = bytearray(path.read_bytes()[: blobs[3].offset + 5])
    data[blobs[1].offset : blobs[1].offset + 200] = bytes(200)
    path.write_bytes(bytes(data))
    [result] = predict(study, web, teacher)
    assert result == {"judged": 2, "aside": 1, "unreadable": {"landing/landing-1.tar": 1}}
    errors = study.database().read(lambda s: list(s.scalars(select(Sample.error).order_by(Sample.id))))
    assert errors == [None, "decode", None, None]


def test_a_job_whose_lease_was_lost_leaves_no_file(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    web, teacher, _ = prepare(study, [Item("a.jpg", {"golf": 0}, image_bytes(64, 48))])
    before = set(study.landing.iterdir())

    def lost(session, lease):
        raise ledger.LeaseLost("taken")

    monkeypatch.setattr(ledger, "check", lost)
    study.database().write(lambda s: enqueue_predictions(s, web.class_list, {"image": teacher, "clip": None}))

    assert work_once(study, ["predict"])
    assert set(study.landing.iterdir()) == before and rows(study) == []


def test_weights_that_changed_since_the_plan_are_refused(study: Study) -> None:
    web, teacher, path = prepare(study, [Item("a.jpg", {"golf": 0}, image_bytes(64, 48))])
    study.database().write(lambda s: enqueue_predictions(s, web.class_list, {"image": teacher, "clip": None}))
    tiny_teacher(path, licence="another")
    load_teacher.cache_clear()

    assert work_once(study, ["predict"])
    job = study.database().read(lambda s: s.scalars(select(Job).where(Job.stage == "predict")).one())
    assert (job.state, job.error) == ("failed", "user") and "have changed" in job.error_detail


def test_a_teacher_that_went_astray_is_a_sentence(study: Study) -> None:
    model = create_model("tsn_r18", num_classes=3, width=8)
    torch.nn.init.constant_(model.head.fc.bias, float("nan"))
    shown_as = open_teacher(study, str(tiny_teacher(study.models / "t.safetensors")), FilterSettings()).input
    frames = np.zeros((2, 1, 1, 48, 48, 3), np.uint8)
    with pytest.raises(UserError, match="not numbers"):
        Judge(model, shown_as, FilterSettings(device="cpu"), "float32")([(np.array([1, 2]), frames)])


def test_rows_hold_the_five_best_and_the_best_asked_class() -> None:
    logits = np.array([[0.0, 3.0, 1.0, 2.0, -1.0, 5.0, 4.0]], np.float32)
    [row] = prediction_rows(Said(np.array([7]), logits, np.zeros((1, 2), np.float32)), {7: [0, 2]}, before=3)
    assert [label for label, _ in row["top"]] == [5, 6, 1, 3, 2]
    assert (row["sample_id"], row["row"], row["asked"], row["asked_logit"]) == (7, 3, 2, 1.0)
    assert row["logsumexp"] == pytest.approx(np.log(np.exp(logits.astype(float)).sum()))
    [row] = prediction_rows(Said(np.array([7]), logits, np.zeros((1, 2), np.float32)), {})
    assert row["asked"] == -1
