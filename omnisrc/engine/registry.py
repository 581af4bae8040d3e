"""The stages: one line each. The function is named by text, because the engine lies below the stages."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnisrc.engine.stage import Job
    from omnisrc.study import Study


@dataclass(frozen=True)
class Stage:
    """A kind of job: the queue that it runs on, and `module:function` taking a Job."""

    name: str
    queue: str  # io | cpu | gpu
    function: str
    ahead: str = ""  # module:function taking the study: what a worker may do before its first job, beside other things

    def load(self) -> Callable[[Job], None]:
        found: Callable[[Job], None] = _named(self.function)
        return found

    def prepare(self, study: Study) -> None:
        """Gets ready for a first job."""
        if self.ahead:
            _named(self.ahead)(study)


def _named(function: str) -> Any:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("discover", "io", "omnisrc.crawl.discover:run"),
        Stage("fetch", "io", "omnisrc.crawl.fetch:run", ahead="omnisrc.crawl.ahead:start_guards"),
        Stage("import", "cpu", "omnisrc.data.importing:run"),
        Stage("segment", "cpu", "omnisrc.filter.segment:run"),
        Stage("predict", "gpu", "omnisrc.filter.predict:run"),
        Stage("select", "cpu", "omnisrc.filter.select:run"),
        Stage("pack", "cpu", "omnisrc.filter.pack:run"),
    )
}

QUEUES = ("io", "cpu", "gpu")


def stages_of(queues: list[str] | tuple[str, ...]) -> list[str]:
    """The names of the stages that run on `queues`."""
    return [stage.name for stage in STAGES.values() if stage.queue in queues]
