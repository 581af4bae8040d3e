"""What predict, features and explain share: their options, the weights that are meant, and the progress bar."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from omnisrc.classes import ClassList
from omnisrc.cli.fetch_bar import weights_of
from omnisrc.cli.options import Command
from omnisrc.errors import UserError
from omnisrc.study import Study

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from omnisrc.evaluate.windows.inputs import Found, Named
    from omnisrc.evaluate.windows.network import Network
    from omnisrc.evaluate.windows.plan import Windows
    from omnisrc.evaluate.windows.reading import PartReader
    from omnisrc.media.guard import GuardPool

NAME = 24
"""Letters of an input's name beside the bar."""
Within = Callable[[str, float, float], None]

Model = Annotated[
    str,
    typer.Option("--model", metavar="FILE|RUN|NAME|URL", help="A weights file, a run, or a network in models/."),
]
Classes = Annotated[
    str, typer.Option("--classes", metavar="LIST", help="The class list, where the weights do not name it.")
]
Length = Annotated[
    float,
    typer.Option("--window", metavar="S", help="Seconds of a window; 0: what a clip spans (5 in 2-D).", min=0.0),
]
Stride = Annotated[
    float, typer.Option("--stride", metavar="S", help="Seconds from window to window; 0: as --window.", min=0.0)
]
Clips = Annotated[
    int,
    typer.Option("--clips", metavar="N", help="Clips (2-D: frames) of each window; 0: 1 (2-D: as trained).", min=0),
]

Head = Annotated[
    str, typer.Option("--head", metavar="NAME", help="One of the recogniser's heads, where it has several.")
]
FlowMethod = Annotated[
    str,
    typer.Option(
        "--flow-method",
        metavar="NAME",
        help="How a recogniser of flow is shown it.  \\[default: as in its training]",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Looking:
    """A recogniser that is asked (the only one of its heads, if `head` names one), the names of its classes by head (of
    the only one: ""), what it is shown, and who decodes."""

    network: Network
    names: Mapping[str, tuple[str, ...]]
    plan: Windows
    pool: GuardPool
    reader: PartReader
    head: str = ""

    def about(self) -> dict[str, Any]:
        """What a file of results says of how they were made; lengths of 0 are each video's own."""
        network = self.network
        said = {"model": network.model.name, "weights": str(network.path), "sha256": network.sha256}
        said["precision"] = network.precision
        plan = {"window": self.plan.length, "stride": self.plan.stride, "clips": self.plan.views}
        return {**said, **({"head": self.head} if self.head else {}), **plan, **self.reader.about}


def open_looking(
    running: Command, model: str, classes: str, window: float, stride: float, clips: int, names: bool = True,
    plain: bool = False, head: str = "", flow_method: str = "",
) -> Looking:  # fmt: skip
    """The recogniser of the options, loaded; without `names` its classes have none.

    `plain`: in float32 and not compiled, as gradients and hooks need it.

    Raises:
        UserError: no such weights, classes, head, method of flow or device.
    """
    from omnisrc.evaluate.settings import EvalSettings
    from omnisrc.evaluate.windows.network import open_network
    from omnisrc.evaluate.windows.plan import windows_of
    from omnisrc.media.settings import MediaSettings
    from omnisrc.media.shared_guard import shared_pool

    study = running.study
    path = weights_of(running, model)
    settings = study.section(EvalSettings)
    network = open_network(path, replace(settings, amp="off", compile=False) if plain else settings, head)
    found = _names_of(running, network, classes) if names else {}
    plan = windows_of(network.sampling, window, stride, clips)
    pool = shared_pool(study.section(MediaSettings))
    return Looking(network, found, plan, pool, _reader_of(running, network, pool, flow_method), head)


def _names_of(running: Command, network: Network, classes: str) -> dict[str, tuple[str, ...]]:
    from omnisrc.evaluate.windows.classes import class_names
    from omnisrc.models.choose_head import head_meta

    if classes and len(network.heads) > 1:
        raise UserError(
            f"--classes {classes} names the classes of one head, and {network.path} has {', '.join(network.heads)};"
            " choose one with --head NAME."
        )
    lists, found = study_lists(running.study), {}
    for head in network.heads:
        count = network.model.args["heads"][head] if head else network.model.num_classes
        meta = head_meta(network.meta, head) if head else network.meta
        found[head], note = class_names(network.path, meta, count, classes, lists)
        if note:
            of_head = f"{head}: " if head else ""
            running.console.print(f"[yellow]Note:[/] {escape(of_head + note)}", soft_wrap=True)
    return found


def _reader_of(running: Command, network: Network, pool: GuardPool, method: str) -> PartReader:
    from omnisrc.evaluate.windows.reading import FlowFieldReader, RgbReader

    if network.model.input.modality == "rgb":
        if method:
            raise UserError(f"The recogniser {network.path} sees frames; leave --flow-method {method} out.")
        return RgbReader(pool)
    from omnisrc.flow.seen import flow_as_trained

    seen = flow_as_trained(running.study, pool, str(network.path), network.meta, method)
    if seen.note:
        running.console.print(f"[yellow]Note:[/] {escape(seen.note)}", soft_wrap=True)
    return FlowFieldReader(seen.estimate)


def study_lists(study: Study) -> list[ClassList]:
    """The class lists that the workspace knows, its own first; none where there is no workspace."""
    if study.database_url == f"sqlite:///{study.root / 'catalog.db'}" and not (study.root / "catalog.db").exists():
        return []
    from sqlalchemy import select

    from db import models, schema
    from omnisrc.data.catalogue import recorded_class_list, study_class_list

    if schema.check(study.database()) != "current":
        return []

    def read(session: Session) -> list[ClassList]:
        own = study_class_list(session)
        rows = list(session.scalars(select(models.ClassList).order_by(models.ClassList.id)))
        rows.sort(key=lambda row: own is None or row.id != own.id)
        return [recorded_class_list(session, row) for row in rows]

    return study.database().read(read)


def inputs_of(named: Named, study: Study) -> Generator[Found, None, None]:
    """The inputs that arguments name; URLs are fetched with the crawl's settings when their turn comes."""
    from omnisrc.evaluate.windows.inputs import fetched

    yield from named.inputs()
    if named.urls:
        from omnisrc.crawl.listed import fetch_listed
        from omnisrc.crawl.settings import CrawlSettings

        yield from fetched(fetch_listed(named.urls, study.section(CrawlSettings)))


def brief(name: str) -> str:
    """A name that leaves room for the rest of a bar."""
    return name if len(name) <= NAME else name[: NAME - 1] + "…"


@contextmanager
def looking_bar(
    console: Console, count: int
) -> Iterator[tuple[Callable[[str, float, float], None], Callable[[], None]]]:
    """A bar over `count` inputs: (told of input, seconds done, seconds in all), and (told that one input is done)."""
    columns = (
        TextColumn("{task.fields[verb]}"), BarColumn(), TextColumn("{task.fields[inputs]}"),
        TimeElapsedColumn(), TextColumn("{task.fields[at]}", markup=False),
    )  # fmt: skip
    done = 0
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=count, verb="looking", inputs=f"0/{count}", at="")

        def within(name: str, seconds: float, total: float) -> None:
            share = min(1.0, seconds / total) if total else 0.0
            length = f" of {total:,.0f}" if total else ""
            bar.update(task, completed=done + share, at=f"{brief(Path(name).name)} {seconds:,.0f}{length} s")

        def next_one() -> None:
            nonlocal done
            done += 1
            bar.update(task, completed=done, inputs=f"{done}/{count}")

        yield within, next_one
