"""What a worker that will fetch starts before there is anything to fetch."""

from __future__ import annotations

from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.study import Study


def start_guards(study: Study) -> None:
    """Starts the guard processes: they take a quarter of a second, in which the first page can be searched."""
    shared_pool(study.section(MediaSettings)).warm()
