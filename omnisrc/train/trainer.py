"""The trainer: one run from its recipe and manifest to its weights, on one device or, under torchrun, on many."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from omnisrc.data.batch import Batch
from omnisrc.data.draws import key_of
from omnisrc.data.flow_cache import read_cache
from omnisrc.data.loading import mixed_steps
from omnisrc.data.manifest import Manifest
from omnisrc.data.mix import Mix
from omnisrc.errors import Interrupted, UserError
from omnisrc.evaluate.device import loader_workers
from omnisrc.evaluate.scoring import Scorer, merge
from omnisrc.models import Recogniser, create_model, load_checkpoint, save_weights
from omnisrc.models.precision import precision_of
from omnisrc.shards.store import ShardStore
from omnisrc.tasks.create import Task, create_task
from omnisrc.train.checkpointing import Standing, load_state, save_state
from omnisrc.train.distribution import Place
from omnisrc.train.log import RunLog
from omnisrc.train.mixed_step import MixedStep
from omnisrc.train.optimisation import learning_rate, make_optimiser, parameter_groups, set_rate
from omnisrc.train.run_folder import Recipe, RunFolder
from omnisrc.train.settings import TrainSettings, loss_weights
from omnisrc.train.sources import sampling_of, training_sources, validation_scorer
from omnisrc.train.student import Student
from omnisrc.train.tally import Tally

Report = Callable[[int, str, dict[str, Any]], None]
"""Told of progress: (steps done, "step" | "train" | "val", figures)."""


def quiet(done: int, kind: str, figures: dict[str, Any]) -> None:
    """A Report that says nothing."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its standing, its last figures on val (empty without a val), and which of them counts."""

    standing: Standing
    val: dict[str, Any]
    figure: str = "top1"


class Trainer:
    """One run: everything that a step needs, and where the run stands.

    Args:
        root: the manifest's relative paths count from here.
        recipe: with its settings resolved.

    Raises:
        UserError: the recipe cannot be trained, or the folder's checkpoint is damaged.
    """

    def __init__(
        self,
        folder: RunFolder,
        manifest: Manifest,
        root: Path | ShardStore,
        recipe: Recipe,
        place: Place,
        report: Report = quiet,
    ) -> None:
        settings = self.settings = recipe.settings
        self.folder, self.recipe, self.place, self.report = folder, recipe, place, report
        prepare_arithmetic(settings, place.device)
        precision = precision_of(settings.amp, place.device, training=True)
        self.task = create_task(manifest.task, manifest.classes)
        self.model = make_student(recipe, self.task).to(place.device)
        if settings.channels_last:
            self.model.to(memory_format=self.model.memory_format)
        self.optimiser = make_optimiser(parameter_groups(self.model, settings), settings)
        there = folder.state.exists()
        self.standing = load_state(folder.state, self.model, self.optimiser) if there else Standing()

        self.workers = loader_workers(settings.workers, place.device, place.world)
        cache_bytes = (settings.cache_mb << 20) * 3 // 4 // max(1, self.workers)
        sources = training_sources(manifest, root, settings, recipe.mix, recipe.seed, cache_bytes)
        self.mix = Mix(sources, self.task.name, place.rank, place.world)
        sampling = sampling_of(settings, self.model.input)
        self.scorer = validation_scorer(
            manifest, root, sampling, settings, self.task, precision, self.workers, place.rank, place.world
        )
        self.weights = loss_weights(settings, tuple(recipe.mix))
        self.step = MixedStep(self.task, self.model.input, settings, self.weights, recipe.seed, place, precision)
        self.meta = {**weights_meta(manifest, recipe, asdict(sampling)), **flow_meta(settings, self.mix)}
        self.student = wrap(self.model, settings, place)

    def run(self, stop_wished: Callable[[], bool] = lambda: False) -> Outcome:
        """Trains from where the run stands to its end; leaves last.safetensors and best.safetensors.

        Raises:
            Interrupted: a stop was wished for; the run can go on from where it stands.
            UserError: the loss is not a finite number.
            WorldError: a source cannot be decoded at all, or the disk is full.
        """
        settings, val = self.settings, dict[str, Any]()
        began = time.perf_counter() - self.standing.seconds
        tally = Tally(list(self.recipe.mix), self.place, self.task.hits)
        pinned = self.place.device.type == "cuda"
        feed = mixed_steps(self.mix, self.standing.step, settings.steps, self.workers, pin_memory=pinned)
        self.student.train()
        with RunLog(self.folder.log, self.folder.tensorboard, self.standing.step, not self.place.first) as log:
            waiting = time.perf_counter()
            for step, batches in enumerate(feed, start=self.standing.step):
                waited = time.perf_counter() - waiting
                tallies = take_step(self.student, self.optimiser, self.step, batches, step)
                tally.add(batches, tallies, waited)
                done, skips = step + 1, sum(len(batch.skips) for batch in batches)
                self.standing = replace(self.standing, step=done, skips=self.standing.skips + skips)
                log_skips(log, batches, done)
                self.report(done, "step", {})

                due = done % settings.eval_every == 0 or done == settings.steps
                if done % settings.log_every == 0 or due:
                    self._say(log, "train", tally.figures(self.weights))
                stop = wished_by_any(stop_wished, self.place, step, settings.log_every)
                if due and self.scorer is not None:
                    val = validate(self.scorer, self.model, self.task, self.place)
                    self._say(log, "val", val)
                if due or stop:
                    self.standing = replace(self.standing, seconds=time.perf_counter() - began)
                    self._keep(val if due else {})
                    tally.restart_clock()
                if stop and done < settings.steps:
                    raise Interrupted(
                        f"Stopped after step {done} of {settings.steps}; run the same command again to go on"
                        f" (or omnisrc train --resume --name {self.folder.name})."
                    )
                waiting = time.perf_counter()
        return Outcome(self.standing, val, self.task.figure)

    def _say(self, log: RunLog, kind: str, figures: dict[str, Any]) -> None:
        done = self.standing.step
        if kind == "train":
            check_finite(figures["loss"], done)
            figures = {"lr": learning_rate(done - 1, self.settings.steps, self.settings), **figures}
        log.write(done, kind, figures)
        self.report(done, kind, figures)

    def _keep(self, val: dict[str, Any]) -> None:
        """Writes the checkpoint, and best.safetensors where val says so (of equal scores, the smaller loss).

        The state comes last: killed before it, the run repeats its steps and writes the same files again.
        """
        standing = self.standing
        score = val.get(self.task.figure, float("nan"))
        better = bool(val) and (score, -val["loss"]) > (standing.best_score, -standing.best_loss)
        if better:
            standing = replace(standing, best_step=standing.step, best_score=score, best_loss=val["loss"])
        if self.place.first:
            about = {**self.meta, "step": standing.step, "val": val}
            if better:
                save_weights(self.model, self.folder.best, about)
            save_weights(self.model, self.folder.last, about)
            save_state(self.folder.state, self.model, self.optimiser, standing)
        self.place.barrier()
        self.standing = standing


def take_step(
    student: nn.Module, optimiser: torch.optim.Optimizer, mixed: MixedStep, batches: Sequence[Batch], step: int
) -> list[Tensor]:
    """One optimiser step on one mixed batch; gives the tallies of MixedStep."""
    settings = mixed.settings
    set_rate(optimiser, learning_rate(step, settings.steps, settings))
    optimiser.zero_grad(set_to_none=True)
    loss, tallies = mixed(student, batches, step)
    torch.autograd.backward(loss)
    if settings.clip_grad:
        torch.nn.utils.clip_grad_norm_(student.parameters(), settings.clip_grad)
    optimiser.step()
    return tallies


def prepare_arithmetic(settings: TrainSettings, device: torch.device) -> None:
    """Threads of the CPU, and whether CUDA may choose the fastest kernels or must repeat itself to the bit."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.backends.cudnn.benchmark = not settings.deterministic
    if device.type == "cuda" and not settings.deterministic:
        torch.set_float32_matmul_precision("high")


def make_student(recipe: Recipe, task: Task, say: Callable[[str], None] = lambda text: None) -> Recogniser:
    """The student at step 0: drawn from the seed, then filled from `init` as far as that fits.

    `say` is told what was taken from there and what was left out. Raises UserError where it does not fit.
    """
    torch.manual_seed(key_of(recipe.seed, "init"))
    model: Recogniser = create_model(recipe.settings.model, **task.head, **student_args(recipe.settings))
    if recipe.init:
        say(str(load_checkpoint(model, Path(recipe.init["path"]), strict=False, classes=task.classes)))
    if recipe.settings.partial_bn != "off":
        model.trunk.keep_statistics(affine=recipe.settings.partial_bn == "affine")
    return model


def student_args(settings: TrainSettings) -> dict[str, Any]:
    """What `create_model` is given beside the classes."""
    return {**settings.model_args, **({"modality": "flow"} if settings.modality == "flow" else {})}


def flow_meta(settings: TrainSettings, mix: Mix) -> dict[str, Any]:
    """What a student of flow was trained on: the cache, and how it was made."""
    if settings.modality != "flow":
        return {}
    cache = read_cache(mix.sources[0].reader.table.store, settings.flow)
    return {"flow": {"cache": cache.name, **asdict(cache.facts)}}


def wrap(model: Recogniser, settings: TrainSettings, place: Place) -> nn.Module:
    """The student as the step calls it: compiled if asked for, averaging its gradients over all processes."""
    student: nn.Module = Student(model)
    if settings.compile:
        model.compile()
    if place.world > 1:
        ids = [place.device.index] if place.device.type == "cuda" else None
        heads = model.input.takes_stills  # a mix without stills leaves their head without gradients
        student = DistributedDataParallel(student, device_ids=ids, find_unused_parameters=heads)
    return student


def validate(scorer: Scorer, model: Recogniser, task: Task, place: Place) -> dict[str, Any]:
    """The task's figures and the loss on the whole of val, with the weights as they will be kept."""
    place.share_buffers(model)
    parts = place.gather(list(scorer(model, place.device)))
    scored = merge(chain.from_iterable(parts))
    return {
        **task.metrics(scored.scores, scored.labels),
        "loss": task.log_loss(scored.scores, scored.labels),
        "unreadable": len(scored.unreadable),
    }


def weights_meta(manifest: Manifest, recipe: Recipe, sampling: dict[str, Any]) -> dict[str, Any]:
    """What travels with the weights, beside what the model says of itself."""
    return {
        "classes": list(manifest.classes),
        "class_list": manifest.class_list,
        "class_list_sha256": manifest.class_list_sha256,
        "task": manifest.task,
        "sampling": sampling,
        "source": "omnisrc train",
        "mix": recipe.mix,
        "seed": recipe.seed,
        "manifest_sha256": recipe.manifest_sha256,
    }


def wished_by_any(stop_wished: Callable[[], bool], place: Place, step: int, every: int) -> bool:
    """Whether to stop. All processes answer alike: those of many ask each other, though not at every step."""
    if place.world == 1:
        return stop_wished()
    if (step + 1) % every:
        return False
    return bool(place.total(torch.tensor(float(stop_wished()), device=place.device)).item())


def check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise UserError(f"The loss is not a finite number at step {step}; lower train.lr (or train.amp=off).")


def log_skips(log: RunLog, batches: Sequence[Batch], step: int) -> None:
    """Names each sample that could not be decoded; the counts are in the lines of `train`."""
    for batch in batches:
        for skip in batch.skips:
            log.write_once(step, "skip", {"source": batch.source, **asdict(skip)}, key=(batch.source, skip.sample))
