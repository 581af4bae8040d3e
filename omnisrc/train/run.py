"""`omnisrc train`: from what the study holds to one trained run, begun or gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from omnisrc.config import build, near
from omnisrc.data.credits import credits_of
from omnisrc.data.flow_cache import read_cache
from omnisrc.data.flow_reader import flow_table
from omnisrc.data.freeze import build_manifest, where_they_lie
from omnisrc.data.manifest import Manifest, read_manifest, write_manifest
from omnisrc.errors import Interrupted, UserError
from omnisrc.licences import LicenceRules
from omnisrc.models import create_model, fingerprint
from omnisrc.models.pretrained.folder import is_pretrained
from omnisrc.shards.attribution import write_attributions
from omnisrc.shards.store import store_of
from omnisrc.shards.turns import training_on_shards
from omnisrc.study import Study
from omnisrc.tasks.create import create_task
from omnisrc.train.books import book_end, book_start, figures_of
from omnisrc.train.distribution import Place
from omnisrc.train.run_folder import INDIFFERENT, Recipe, RunFolder
from omnisrc.train.settings import TrainSettings, batch_sizes, parse_mix
from omnisrc.train.sources import resolve, view_of
from omnisrc.train.trainer import Outcome, Report, Trainer, make_student, quiet, student_args


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    mix: as in --mix.
    name: of the run; empty: made from what it is.
    selection: name; None: the newest.
    init: weights to begin with; None: the model's own.
    resume: go on with a run by its own recipe, whatever the settings are now.
    """

    mix: str = "web,target"
    seed: int = 0
    name: str = ""
    selection: str | None = None
    init: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train, on every rank."""

    folder: RunFolder
    recipe: Recipe
    manifest: Manifest
    start: str = ""  # what became of the weights to begin with


def prepare(study: Study, request: Request) -> Prepared:
    """Freezes the manifest and the recipe of a run that is begun; reads those of one that is gone on with.

    Raises:
        UserError: something is missing, or cannot be trained.
    """
    settings = study.section(TrainSettings)
    if request.resume:
        return resumed(study, request.name, settings)
    mix = parse_mix(request.mix, settings.ratios)
    manifest = build_manifest(
        study, tuple(mix), request.selection, (study.section(LicenceRules), settings.licences), settings.task
    )
    mix = present(mix, request.mix, manifest)
    task = create_task(manifest.task, manifest.classes)
    spec = create_model(settings.model, **task.head, **student_args(settings)).input
    batch_sizes(settings.batch_size, mix)
    settings = replace(settings, task=task.name)
    if settings.modality == "flow":
        settings = with_flow(study, settings, manifest, mix)
    recipe = Recipe(
        settings=resolve(settings, spec, mix, manifest),
        mix=mix,
        seed=request.seed,
        class_list_sha256=manifest.class_list_sha256,
        manifest_sha256=manifest.sha256,
        init=init_of(request.init),
    )
    view_of(recipe.settings)  # refuses what cannot be shown
    said: list[str] = []
    if recipe.init:
        make_student(recipe, task, said.append)  # refuses what does not fit, before anything is written
    folder = RunFolder.of(study.runs, request.name or name_of(recipe))
    return Prepared(folder, recipe, manifest, "".join(said))


def with_flow(study: Study, settings: TrainSettings, manifest: Manifest, mix: dict[str, float]) -> TrainSettings:
    """The settings with the name of their cache of flow, which has what the run needs.

    Raises:
        UserError: it has not; the sentence names the command that makes it.
    """
    cache = read_cache(store_of(study), settings.flow)
    needed = [manifest.rows(source=source, split="train") for source in mix if source != "web-image"]
    for rows in (*needed, manifest.rows(source="target", split="val")):
        if len(rows):
            flow_table(rows, store_of(study), cache)
    return replace(settings, flow=cache.name)


def present(mix: dict[str, float], asked: str, manifest: Manifest) -> dict[str, float]:
    """The mix without a source that `web` stood for and the selection does not have.

    Raises:
        UserError: a source that was named itself has no sample, or none is left of the web.
    """
    named = {part.partition(":")[0].strip() for part in asked.split(",")}
    there = {source for source in mix if len(manifest.rows(source=source, split="train"))}
    missing = [source for source in mix if source not in there]
    chosen = manifest.facts.get("selection", "")
    for source in missing:
        if source in named or not there - {"target"}:
            raise UserError(
                f"The selection {chosen} has kept no sample for the source {source}; crawl more with `omnisrc crawl`,"
                " loosen the rule and run `omnisrc filter --redo select`, or leave it out of --mix."
            )
    return {source: ratio for source, ratio in mix.items() if source in there}


def init_of(path: Path | None) -> dict[str, str]:
    """The weights to begin with, by path and hash.

    Raises:
        UserError: there is no such file.
    """
    if path is None:
        return {}
    if not path.is_file() and not is_pretrained(path):
        raise UserError(f"There is no file {path} to begin with; --init names a checkpoint.")
    return {"path": str(path.resolve()), "sha256": fingerprint(path)}


def name_of(recipe: Recipe) -> str:
    """The name of a run that was given none: the same for the same recipe, so that the same command goes on with it."""
    plain = recipe.as_dict()
    for name in INDIFFERENT:
        del plain["settings"][name]
    plain["init"].pop("path", None)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    mix = "web+target" if len(recipe.mix) == 3 else "+".join(recipe.mix)
    return f"{recipe.settings.model}-{mix}-s{recipe.seed}-{digest[:6]}"


def resumed(study: Study, name: str, settings: TrainSettings) -> Prepared:
    """A run by its own recipe and manifest; how it goes (device, workers, log) is as the settings say now.

    Raises:
        UserError: there is no such run.
    """
    begun = sorted(study.runs.glob("*/run.yaml"), key=lambda file: file.stat().st_mtime)
    if not begun:
        raise UserError("There is no run to go on with; begin one with `omnisrc train --mix web,target`.")
    names = [file.parent.name for file in begun]
    if name and name not in names:
        raise UserError(f"There is no run {name!r} to go on with.{near(name, names)}")
    folder = RunFolder.of(study.runs, name or names[-1])
    recipe = build(Recipe, folder.read_recipe(), folder.name)
    now = {key: getattr(settings, key) for key in INDIFFERENT}
    manifest = where_they_lie(study, read_manifest(folder.manifest))
    return Prepared(folder, replace(recipe, settings=replace(recipe.settings, **now)), manifest)


def train_run(
    study: Study,
    request: Request,
    place: Place,
    *,
    announce: Callable[[Prepared], None] = lambda prepared: None,
    report: Report = quiet,
    stop_wished: Callable[[], bool] = lambda: False,
) -> tuple[Prepared, Outcome]:
    """Trains what is asked for. The first rank prepares and keeps the books; the others follow.

    Args:
        announce: told what will be trained, on the first rank.

    Raises:
        UserError: as `prepare`; or the run is being trained, or was begun by another recipe.
    """
    if not place.first:
        prepared = follow(place)
        return prepared, Trainer(prepared.folder, prepared.manifest, store_of(study), prepared.recipe, place).run(
            stop_wished
        )
    with training_on_shards(study):
        return _train_first(study, request, place, announce, report, stop_wished)


def _train_first(
    study: Study,
    request: Request,
    place: Place,
    announce: Callable[[Prepared], None],
    report: Report,
    stop_wished: Callable[[], bool],
) -> tuple[Prepared, Outcome]:
    prepared = prepare(study, request)
    folder, recipe, manifest = prepared.folder, prepared.recipe, prepared.manifest
    with folder.locked():
        if folder.state.exists():
            folder.check_same(recipe)
        if folder.state.exists() or request.resume:
            write_manifest(manifest, folder.manifest)  # its shards may lie elsewhere by now
        else:
            begin(folder, recipe, manifest, place)
            credit(study, folder, manifest)
        place.gather(str(folder.path))
        announce(prepared)
        run_id = book_start(study.database(), folder.name, recipe, manifest)
        try:
            outcome = Trainer(folder, manifest, store_of(study), recipe, place, report).run(stop_wished)
        except BaseException as error:
            stopped = isinstance(error, Interrupted | KeyboardInterrupt)
            book_end(study.database(), run_id, "stopped" if stopped else "failed", {})
            raise
        book_end(study.database(), run_id, "done", figures_of(outcome))
    return prepared, outcome


def begin(folder: RunFolder, recipe: Recipe, manifest: Manifest, place: Place) -> None:
    """Writes what the run is made of. What an earlier one left here without a checkpoint is gone."""
    for weights in (folder.best, folder.last):
        weights.unlink(missing_ok=True)
    write_manifest(manifest, folder.manifest)
    folder.write_recipe(recipe, about(manifest, place))


def credit(study: Study, folder: RunFolder, manifest: Manifest) -> None:
    """Writes into the run's folder who made the web samples that it is trained on."""
    rows = study.database().read(lambda session: credits_of(session, manifest.web_samples))
    write_attributions(folder.attribution, rows)


def follow(place: Place) -> Prepared:
    """What the first rank prepared."""
    folder = RunFolder(Path(place.gather("")[0]))
    recipe = build(Recipe, folder.read_recipe(), folder.name)
    return Prepared(folder, recipe, read_manifest(folder.manifest))


def about(manifest: Manifest, place: Place) -> dict[str, Any]:
    """What run.yaml says for its reader, beside the recipe."""
    counts = {source: len(manifest.rows(source=source, split="train")) for source in manifest.sources}
    return {
        "omnisrc": installed_version(),
        "torch": str(torch.__version__),
        "processes": place.world,
        "device": place.device.type,
        "threads": torch.get_num_threads(),
        "class_list": manifest.class_list,
        "classes": list(manifest.classes),
        "samples": counts,
        "val": len(manifest.rows(source="target", split="val")),
        **dict(manifest.facts),
    }


def installed_version() -> str:
    try:
        return version("omnisrc")
    except PackageNotFoundError:
        return "a checkout that is not installed"
