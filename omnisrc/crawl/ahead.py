"""The guard processes of a worker that will fetch, and their start before there is anything to fetch."""

from __future__ import annotations

from omnisrc.media.guard import GuardPool
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.study import Study

SPARE = 2  # while one guard's answer is stored and its next item is handed over, another has the core


def guards(settings: MediaSettings) -> GuardPool:
    """This process's guards for what is fetched."""
    return shared_pool(settings, SPARE)


def start_guards(study: Study) -> None:
    """Starts the guard processes: they take a quarter of a second, in which the first page can be searched."""
    guards(study.section(MediaSettings)).warm()
