"""Small pictures of samples and target items as data URIs; every byte is decoded in a guard process."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from omnisrc.errors import ItemError, UserError
from omnisrc.media.guard import GuardPool
from omnisrc.media.image import encode_jpeg
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.settings import MediaSettings
from omnisrc.media.source import MediaRef, Source
from omnisrc.report.examples import Place
from omnisrc.shards.store import ShardStore, is_remote

QUALITY = 72
STRIP = 3
"""Frames of a clip that are shown side by side."""
GAP = 2
ALL = (0.0, 1e9)
"""Seconds of a whole file."""


class Pictures:
    """Pictures by the places where their bytes lie.

    Args:
        store: of the study's shards.
        short_side: of a picture, in pixels.
    """

    def __init__(self, store: ShardStore, media: MediaSettings, short_side: int) -> None:
        self.store, self.media, self.short_side = store, media, short_side
        self._made: dict[Place, str | None] = {}

    def make(
        self, wanted: Iterable[list[Place]], progress: Callable[[int, int], None] = lambda done, count: None
    ) -> None:
        """Makes the picture of each list of places, from the first of them that can be read."""
        lists = [places for places in dict.fromkeys(map(tuple, wanted)) if places]
        if not lists:
            return
        size = self.media.guard_processes
        with GuardPool(size, self.media.guard_memory_mb, self.media.guard_timeout_s) as pool:

            def one(places: tuple[Place, ...]) -> None:
                for place in places:
                    self._made[place] = self._picture(pool, place)
                    if self._made[place] is not None:
                        break

            with ThreadPoolExecutor(pool.size) as threads:
                for done, _ in enumerate(threads.map(one, lists), start=1):
                    progress(done, len(lists))

    def uri(self, places: Iterable[Place]) -> str | None:
        """`data:image/jpeg;base64,...` of the first place that could be read; None: there is no picture."""
        return next((uri for place in places if (uri := self._made.get(place))), None)

    def _picture(self, pool: GuardPool, place: Place) -> str | None:
        try:
            source = self._source(place)
            jpeg = self._still(pool, source) if place.medium == "image" else self._strip(pool, source, place)
        except (ItemError, UserError):
            return None  # freed, moved or broken: the page says that there is no picture
        return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()

    def _source(self, place: Place) -> Source:
        if is_remote(place.path):
            return self.store.read(place.path, place.offset, place.length)
        path = self.store.root / place.path
        return path if place.length < 0 else MediaRef(str(path), place.offset, place.length)

    def _still(self, pool: GuardPool, source: Source) -> bytes:
        return pool.land_image(source, short_side=self.short_side, min_side=1, quality=QUALITY).data

    def _strip(self, pool: GuardPool, source: Source, place: Place) -> bytes:
        """Frames of a clip side by side, from its beginning, middle and end."""
        window = (place.start, place.end) if place.end > place.start else ALL
        [clip] = pool.clip_frames(
            source, [window], SampleFrames(1, num_clips=STRIP, test_mode=True), short_side=self.short_side
        )
        frames = clip.frames
        gap = np.full((frames.shape[1], GAP, 3), 255, np.uint8)
        parts = [part for frame in frames for part in (gap, frame)][1:]
        return encode_jpeg(np.ascontiguousarray(np.concatenate(parts, axis=1)), QUALITY)
