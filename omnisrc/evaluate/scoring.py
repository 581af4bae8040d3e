"""Score a student on samples: each is decoded once, all of its views pass, their scores become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from omnisrc.data.augment import normalise
from omnisrc.data.batch import Skip
from omnisrc.data.loading import begun, start_worker, unchanged
from omnisrc.data.samples import SampleReader
from omnisrc.errors import ItemError, WorldError
from omnisrc.evaluate.protocols import Protocol, averaged
from omnisrc.models.modality import stacked
from omnisrc.models.precision import Precision, autocast
from omnisrc.tasks.create import Task


@dataclass(frozen=True)
class Scored:
    """What a student said.

    ids  # (N,)
    labels  # (N,), or (N, classes) multi-hot where a sample may have several classes
    scores  # (N, classes) float32 probabilities
    unreadable: samples that could not be decoded; they are in none of the figures.
    logits  # (N, classes) float32, the mean over the views; what late fusion may sum
    """

    ids: NDArray[np.int64]
    labels: NDArray[Any]
    scores: NDArray[np.float32]
    unreadable: tuple[Skip, ...] = ()
    logits: NDArray[np.float32] | None = None


def merge(parts: Iterable[Scored]) -> Scored:
    """The parts of all ranks as one, in the order of ids."""
    whole = list(parts)
    ids = np.concatenate([part.ids for part in whole])
    order = np.argsort(ids, kind="stable")
    logits = [part.logits for part in whole if part.logits is not None]
    return Scored(
        ids[order],
        np.concatenate([part.labels for part in whole])[order],
        np.concatenate([part.scores for part in whole])[order],
        tuple(skip for part in whole for skip in part.unreadable),
        np.concatenate(logits)[order] if len(logits) == len(whole) else None,
    )


@dataclass(frozen=True)
class ViewBatch:
    """frames  # (B, V, C, T, H, W) uint8; rows  # (B,) of the reader's table"""

    frames: Tensor
    rows: NDArray[np.int64]
    skips: tuple[Skip, ...]


class ViewSet(Dataset[ViewBatch | WorldError]):
    """The views of the rows, `batch` samples at a time; those that cannot be decoded are left out and named.

    A store that does not answer is given as an item: an exception that crosses from a loader worker loses its sentence.
    """

    def __init__(self, reader: SampleReader, protocol: Protocol, rows: NDArray[np.int64], batch: int) -> None:
        self.reader, self.protocol, self.rows, self.batch = reader, protocol, rows, batch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch)

    def __getitem__(self, number: int) -> ViewBatch | WorldError:
        try:
            return self._views(number)
        except WorldError as error:
            return error

    def _views(self, number: int) -> ViewBatch:
        rows = self.rows[number * self.batch : (number + 1) * self.batch]
        p = self.protocol
        frames = np.empty((len(rows), p.views, p.clip_len, p.size, p.size, self.reader.channels), dtype=np.uint8)
        whole: list[int] = []
        skips: list[Skip] = []
        for row in rows:
            try:
                p.render(self.reader, int(row), frames[len(whole)])
                whole.append(int(row))
            except ItemError as error:
                table = self.reader.table
                skips.append(Skip(int(table.ids[row]), table.told(row), error.error.value))
        views = torch.from_numpy(frames[: len(whole)]).permute(0, 1, 5, 2, 3, 4)
        return ViewBatch(views, np.array(whole, dtype=np.int64), tuple(skips))


class Scorer:
    """Scores students on the same samples, again and again; keeps their views in memory where they fit.

    Args:
        reader: of the samples.
        task: what makes scores of logits.
        batch: samples that are decoded together.
        views: clips in one forward pass, at most; batches are cut evenly, so that the passes are of one size.
        workers: loader processes.
        precision: of the network's arithmetic.
        rank, world: this process takes every `world`-th sample.
        keep_bytes: budget of the views kept.
    """

    def __init__(
        self,
        reader: SampleReader,
        protocol: Protocol,
        task: Task,
        *,
        batch: int = 16,
        views: int = 64,
        workers: int = 0,
        precision: Precision = "float32",
        rank: int = 0,
        world: int = 1,
        keep_bytes: int = 0,
    ) -> None:
        rows = np.arange(rank, len(reader.table), world, dtype=np.int64)
        self.set = ViewSet(reader, protocol, rows, batch)
        whole = batch * protocol.views
        self.views = -(-whole // -(-whole // views))
        self.task, self.workers, self.precision = task, workers, precision
        size = len(rows) * protocol.views * protocol.clip_len * protocol.size**2 * reader.channels
        self._kept: list[ViewBatch] | None = [] if size <= keep_bytes else None

    def __call__(self, model: nn.Module, device: torch.device) -> Iterator[Scored]:
        """One part after the other; the model is left in the mode in which it came."""
        training = model.training
        model.eval()
        try:
            for batch in self._batches():
                yield self._score(model, batch, device)
        finally:
            model.train(training)

    def _batches(self) -> Iterator[ViewBatch]:
        if self._kept is not None and len(self._kept) == len(self.set):
            yield from self._kept
            return
        kept: list[ViewBatch] = []
        loader = DataLoader(
            self.set,
            batch_size=None,
            num_workers=self.workers,
            collate_fn=unchanged,
            worker_init_fn=start_worker,
            generator=torch.Generator().manual_seed(0),  # or torch would draw from the run's own
        )
        for batch in begun(loader):
            if isinstance(batch, WorldError):
                raise batch
            if self._kept is not None:
                kept.append(batch)
            yield batch
        if self._kept is not None:
            self._kept = kept

    @torch.inference_mode()
    def _score(self, model: Any, batch: ViewBatch, device: torch.device) -> Scored:
        table = self.set.reader.table
        spec = model.input
        logits = []
        clips = batch.frames.flatten(0, 1)
        for at in range(0, len(clips), self.views):
            frames = normalise(clips[at : at + self.views].to(device)[:, None], spec.mean, spec.std)
            with autocast(self.precision, device):
                logits.append(model(stacked(frames, spec)).float())
        if logits:
            views = torch.cat(logits).view(len(batch.rows), self.set.protocol.views, -1)
            scores = averaged(views, self.set.protocol.average, self.task.scores).cpu().numpy()
            mean = views.mean(1).cpu().numpy()
        else:
            scores = mean = np.zeros((0, model.num_classes), np.float32)
        return Scored(table.ids[batch.rows], table.labels_of(batch.rows), scores, batch.skips, mean)
