"""`omnisrc flow`: what is asked for, extracted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from omnisrc.data.flow_cache import FlowCache, begin_cache, default_name
from omnisrc.data.manifest import SPLITS
from omnisrc.errors import UserError
from omnisrc.flow.estimators import make_estimator
from omnisrc.flow.extract import Extracted, Extraction
from omnisrc.flow.settings import FlowSettings
from omnisrc.flow.work import Piece, file_pieces, target_pieces, web_pieces
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.shards.places import open_storage
from omnisrc.shards.store import ShardStore, store_of
from omnisrc.shards.turns import using_shards
from omnisrc.study import Study


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    path: a file or a folder of plain videos; None: what the study holds.
    split: of the target, or `all`; empty: all, unless only the web's clips are asked for.
    web: the clips in curated shards.
    cache: the name of the cache; empty: made from method and bound.
    """

    path: Path | None = None
    split: str = ""
    web: bool = False
    cache: str = ""

    @property
    def splits(self) -> Sequence[str]:
        """The target's splits that are meant.

        Raises:
            UserError: there is no such split.
        """
        if self.split in ("", "all"):
            return () if self.web and not self.split else SPLITS
        if self.split not in SPLITS:
            raise UserError(f"There is no split {self.split!r}; choose one of {', '.join(SPLITS)}, all.")
        return (self.split,)


def extract_flow(
    study: Study, wish: Wish, report: Callable[[int, int, int], None] = lambda done, count, unreadable: None
) -> tuple[FlowCache, Extracted]:
    """Extracts what is not there yet, and says what was done.

    Raises:
        UserError: the method is not there, or there is nothing to extract from.
        WorldError: the disk or the object store fails.
        Interrupted: Ctrl-C.
    """
    if wish.path is not None and (wish.split or wish.web):
        raise UserError("Name either a file or folder, or the study's clips with --split and --web.")
    settings, media = study.section(FlowSettings), study.section(MediaSettings)
    splits = wish.splits
    pool = shared_pool(media)
    estimate = make_estimator(settings, pool, study.models)
    name = wish.cache or default_name(settings.method, settings.bound)
    store = ShardStore(study.root) if wish.path is not None else store_of(study)  # plain videos are this machine's
    draft = FlowCache(store, name, estimate.facts)
    pieces: list[Piece] = []
    if wish.path is not None:
        pieces = file_pieces(draft, wish.path)
    else:
        pieces += target_pieces(study, draft, splits) if splits else []
        pieces += web_pieces(study, draft) if wish.web else []
        open_storage(study)
    cache = begin_cache(store, name, estimate.facts)
    extraction = Extraction(cache, store, estimate, threads=pool.size, most_frames=settings.most_frames, report=report)
    turn: AbstractContextManager[None] = nullcontext() if wish.path is not None else using_shards(study)
    with turn:
        return cache, extraction.run(pieces)
