"""Teachers: from a name or a file to a network that may judge this study, and what it is shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.models import Teacher
from omnisrc.classes import ClassList, load_class_list, names_sha256
from omnisrc.classes.compare import difference
from omnisrc.data.labels import MULTI_LABEL
from omnisrc.errors import UserError
from omnisrc.filter.prompting import find_folder, prompts_for, reads_texts
from omnisrc.filter.settings import FilterSettings
from omnisrc.models.released import RELEASED, find_weights
from omnisrc.models.zero_shot.prompts import Prompts
from omnisrc.study import Study

if TYPE_CHECKING:
    from omnisrc.models import CheckpointReport, Recogniser
    from omnisrc.models.precision import Precision

SHORT_SIDE_TO_CROP = 8 / 7  # 256 for a crop of 224


@dataclass(frozen=True)
class TeacherInput:
    """What a teacher is shown of a sample: `views` of `clip_len` frames, `frame_interval` apart, evenly spaced, each
    brought to `short_side` and cut to the middle `crop_size` square. Of a still it is shown one view."""

    dims: str  # 2d | 3d
    views: int
    clip_len: int
    frame_interval: int
    crop_size: int
    short_side: int
    target_fps: float = 0.0  # 0: frames as they come


@dataclass(frozen=True)
class TeacherFile:
    """Weights that may judge: a file, or a folder of transformers'. `fingerprint` is over them, over what they are
    shown, what for (`judge`, or `embed` where embeddings of single frames are compared), in which precision, and what
    sentences they are told, if they read texts."""

    name: str
    path: Path
    weights_sha256: str
    input: TeacherInput
    precision: Precision
    meta: Mapping[str, Any] = field(default_factory=dict)
    purpose: str = "judge"
    prompts: Prompts | None = None

    @property
    def fingerprint(self) -> str:
        made_of = [self.weights_sha256, asdict(self.input), self.purpose, self.precision]
        made_of += [self.prompts.sha256] if self.prompts else []
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def find_teacher(study: Study, given: str) -> Path:
    """The weights that `--teacher` means: a folder of a pretrained network, or what `find_weights` finds.

    Raises:
        UserError: there is none; the sentence says which command makes it or which file to put where.
    """
    folder = None if (study.runs / given).is_dir() else find_folder(given, study.models)
    return folder or find_weights(given, study.models, study.runs)


def open_teacher(
    study: Study, given: str, settings: FilterSettings, class_list: ClassList | None = None
) -> TeacherFile:
    """Reads a teacher to the end, so that what is wrong with it is said before any work begins.

    A teacher that reads texts judges for the classes of `class_list`; without one it only gives embeddings.

    Raises:
        UserError: no such weights, damaged ones, or ones that are no recogniser.
    """
    path = find_teacher(study, given).resolve()
    prompts = prompts_for(class_list, settings) if class_list and reads_texts(path) else None
    model, report = load_teacher(path, prompts)
    meta = {**_released_meta(path), **report.meta}
    if prompts is not None and class_list is not None:
        meta |= {"class_list": class_list.name, "class_list_sha256": class_list.sha256}
    run = path.parent.parent == study.runs
    name = path.parent.name if run else path.name if path.is_dir() else path.stem
    return TeacherFile(
        name, path, report.sha256, _input_of(model, meta, settings), _precision(settings), meta, prompts=prompts
    )


def _precision(settings: FilterSettings) -> Precision:
    """Of the device of the settings, which may be a worker's and not here."""
    import torch

    from omnisrc.filter.forward import pick_device
    from omnisrc.models.precision import precision_of

    elsewhere = settings.device.startswith("cuda") and not torch.cuda.is_available()
    return precision_of(settings.amp, torch.device("cuda") if elsewhere else pick_device(settings.device))


@lru_cache(maxsize=2)
def load_teacher(path: Path, prompts: Prompts | None = None) -> tuple[Recogniser, CheckpointReport]:
    """The network in a file or a folder. Kept, because one worker judges many shards with it."""
    if reads_texts(path):
        from omnisrc.models.zero_shot.load import load_zero_shot

        return load_zero_shot(path, prompts or Prompts())
    from omnisrc.models import load_model

    return load_model(path)


def load_planned(params: Mapping[str, Any], prompts: Mapping[str, Any] | None = None) -> Recogniser:
    """The network of a job's `path`, if its weights are those that the job was made for (`weights_sha256`).

    `prompts` are the teacher's, as its row keeps them.

    Raises:
        UserError: they are others now.
    """
    path, told = Path(params["path"]), Prompts.of_meta(prompts) if prompts else None
    model, report = load_teacher(path, told)
    if report.sha256 != params["weights_sha256"]:
        load_teacher.cache_clear()
        model, report = load_teacher(path, told)
    if report.sha256 != params["weights_sha256"]:
        raise UserError(f"The weights {path} have changed since this work was planned; run `omnisrc filter` again.")
    return model


def _released_meta(path: Path) -> dict[str, Any]:
    for known in RELEASED:
        if path.name == known.file:
            return {"class_list": known.class_list, "licence": known.licence, "source": known.url,
                    "sampling": known.sampling._asdict()}  # fmt: skip
    return {}


def _input_of(model: Recogniser, meta: Mapping[str, Any], settings: FilterSettings) -> TeacherInput:
    from omnisrc.models.choose_head import head_names

    sampling = meta.get("sampling") or {}
    spec = model.input
    if spec.modality == "flow":
        raise UserError(
            f"The teacher {model.name} sees optical flow, and what was crawled is judged by its frames; name a teacher"
            " of RGB, or score this one on the target with `omnisrc eval`."
        )
    if heads := head_names(model):
        raise UserError(
            f"The teacher {model.name} has several heads ({', '.join(heads)}), and a study has one class"
            " list; name a teacher with one head."
        )
    if meta.get("task") == MULTI_LABEL:
        raise UserError(
            f"The teacher {model.name} was trained on clips with several classes, and a sample is kept for one of which"
            " it is sure; name a teacher that was trained on one class a clip."
        )
    crop = settings.crop_size or int(sampling.get("crop_size") or spec.crop_size)
    trained = int(sampling.get("crop_size") or 0), int(sampling.get("short_side") or 0)
    ratio = trained[1] / trained[0] if all(trained) else SHORT_SIDE_TO_CROP
    flat = spec.dims == "2d"
    return TeacherInput(
        dims=spec.dims,
        views=_views(model, sampling, settings),
        clip_len=1 if flat else int(sampling.get("clip_len") or spec.clip_len),
        frame_interval=1 if flat else int(sampling.get("frame_interval", spec.frame_interval)),
        crop_size=crop,
        short_side=max(crop, round(crop * ratio)),
        target_fps=float(sampling.get("target_fps") or 0.0),
    )


def _views(model: Recogniser, sampling: Mapping[str, Any], settings: FilterSettings) -> int:
    """A 3-D network whose clips are frames spread over the video (clip_len 1) takes as many as it was trained on."""
    if model.input.dims == "2d":
        return settings.segments
    return model.input.num_segments if sampling.get("clip_len") == 1 else settings.clips


def check_classes(teacher: TeacherFile, study_list: ClassList) -> str | None:
    """A warning where the teacher's file does not say what its classes are.

    Raises:
        UserError: its classes are not the study's.
    """
    count = teacher.meta.get("num_classes")
    named = _class_list_sha256(teacher.meta)
    theirs = str(teacher.meta.get("class_list") or f"{count} classes")
    if (named is not None and named != study_list.sha256) or count != len(study_list):
        unlike = difference(_class_names(teacher.meta), study_list.names) if _class_names(teacher.meta) else ""
        raise UserError(
            f"The teacher {teacher.name} knows {theirs} ({count} classes) and the study is about {study_list.name}"
            f" ({len(study_list)}{'; ' * bool(unlike)}{unlike}), which needs a mapping that there is not yet; train a"
            " teacher on the study's own classes with `omnisrc train --mix target`."
        )
    if named is None:
        return f"The file of teacher {teacher.name} does not name its {count} classes; they are taken as the study's."
    return None


def _class_names(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """What the teacher's file calls its classes, itself or by the name of a list that comes with the platform."""
    if meta.get("classes"):
        return tuple(map(str, meta["classes"]))
    try:
        return load_class_list(str(meta["class_list"])).names if meta.get("class_list") else ()
    except UserError:
        return ()


def _class_list_sha256(meta: Mapping[str, Any]) -> str | None:
    if meta.get("class_list_sha256"):
        return str(meta["class_list_sha256"])
    if meta.get("classes"):
        return names_sha256(map(str, meta["classes"]))
    if meta.get("class_list"):
        try:
            return load_class_list(str(meta["class_list"])).sha256
        except UserError:
            return None
    return None


def as_before(session: Session, teacher: TeacherFile) -> TeacherFile:
    """The teacher in the precision in which it judged here before, so that another machine goes on with its scores."""
    from omnisrc.models.precision import PRECISIONS

    for each in (teacher, *(replace(teacher, precision=precision) for precision in PRECISIONS)):
        if session.scalar(select(Teacher.id).where(Teacher.fingerprint == each.fingerprint)) is not None:
            return each
    return teacher


def record_teacher(session: Session, teacher: TeacherFile, warning: str | None = None) -> int:
    """The id of the teacher's row; `warning` goes into every selection that it judges for."""
    kept = ("model", "num_classes", "class_list", "class_list_sha256", "licence", "source")
    meta = {key: teacher.meta[key] for key in kept if teacher.meta.get(key) is not None}
    meta |= {"path": str(teacher.path), "weights_sha256": teacher.weights_sha256, "input": asdict(teacher.input)}
    meta |= {"precision": teacher.precision}
    meta |= {"warning": warning} if warning else {}
    meta |= {"prompts": teacher.prompts.as_meta()} if teacher.prompts else {}
    insert_missing(session, Teacher, [{"name": teacher.name, "fingerprint": teacher.fingerprint, "meta": meta}])
    found = session.scalars(select(Teacher).where(Teacher.fingerprint == teacher.fingerprint)).one()
    found.name, found.meta = teacher.name, meta  # the same weights may have moved
    session.flush()
    return found.id
