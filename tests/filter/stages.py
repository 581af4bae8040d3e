"""Runs the filter's stages in this process, one job after another."""

from __future__ import annotations

from pathlib import Path

import torch
from sqlalchemy import select

from db.models import Job
from omnisrc.engine.work import work_once
from omnisrc.filter.filtering import Wish, run_filter
from omnisrc.models import create_model, save_weights
from omnisrc.study import Study
from tests.filter.web import CLASSES


def work(study: Study, *stages: str) -> list[dict]:
    """Runs all open jobs of the stages; the results of those that ended, in order. A failed job is an error here."""
    while work_once(study, stages):
        pass
    jobs = study.database().read(lambda s: list(s.scalars(select(Job).where(Job.stage.in_(stages)).order_by(Job.id))))
    assert all(job.state == "done" for job in jobs), [(job.stage, job.error, job.error_detail) for job in jobs]
    return [job.result for job in jobs]


def filter_here(study: Study, monkeypatch, **wish):
    """`run_filter` with its stages run in this process."""
    stages_here(monkeypatch)
    return run_filter(study, Wish(**wish))


def stages_here(monkeypatch) -> None:
    """The filter's stages are run in this process from now on."""

    def run_stages(study, stages, **_):
        from omnisrc.engine.run import RunSummary

        while work_once(study, stages):
            pass
        failed = study.database().read(
            lambda s: list(s.scalars(select(Job).where(Job.stage.in_(stages), Job.state == "failed")))
        )
        return RunSummary(failed=failed)

    monkeypatch.setattr("omnisrc.filter.filtering.run_stages", run_stages)


def tiny_teacher(
    path: Path, name: str = "tsn_r18", classes: tuple[str, ...] = CLASSES, width: int = 8, side: int = 48, **meta
) -> Path:
    """A small random network that sees `side` x `side` pixels; always the same one."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=len(classes), width=width)
    sampling = {"crop_size": side, "short_side": side, "clip_len": model.input.clip_len, "num_segments": 1}
    sampling["frame_interval"] = 2 if model.input.dims == "3d" else 1
    about = {"classes": list(classes), "class_list": "mine", "sampling": sampling, **meta}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(model, path, about)
    return path
