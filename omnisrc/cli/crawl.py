"""`omnisrc crawl`: find and fetch."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy.orm import Session

from omnisrc.classes.load import load_class_list
from omnisrc.classes.model import ClassList
from omnisrc.cli.crawl_control import pause, rate, refuse_options_before, resume
from omnisrc.cli.crawl_view import CrawlView, show_plan, show_summary
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.crawl.counts import crawl_counts
from omnisrc.crawl.jobs import STAGES, drains
from omnisrc.crawl.plan import PlanLine, as_json, plan, refuse_impossible
from omnisrc.crawl.providers.registry import PROVIDERS, provider_names
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.start import Wanted, parse_kinds, register, wanted
from omnisrc.crawl.top_up import TopUp
from omnisrc.engine.run import RunSummary, run_stages
from omnisrc.errors import Interrupted, UserError, WorldError
from omnisrc.shards.places import open_storage

app = typer.Typer()
app.command()(pause)
app.command()(resume)
app.command()(rate)


@app.callback(invoke_without_command=True)
def crawl(
    context: typer.Context,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="NAME|FILE",
            help="A class list: a name, or a txt, csv or yaml file.",
            show_default="the study's own",
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME[,NAME]", help=f"Who is asked: {', '.join(PROVIDERS)}.")
    ] = "commons",
    per_class: Annotated[
        int | None,
        typer.Option(
            "--per-class",
            metavar="N",
            help="Images, and as many videos, to store for each class.",
            show_default="100 images, 20 videos",
        ),
    ] = None,
    media: Annotated[str, typer.Option("--media", metavar="KIND[,KIND]", help="image, video or both.")] = "image,video",
    plan_only: Annotated[bool, typer.Option("--plan", help="Show calls, bytes and time; ask nobody anything.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="local: worker processes here; celery: workers elsewhere.")
    ] = "local",
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Find images and videos of each class on the web, and fetch them politely into landing shards.

    Ctrl-C stops cleanly; the same command goes on where it was.
    """  # fmt: skip
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    with command(workspace, json, sets, database="none" if plan_only else "create") as running:
        class_list = load_class_list(classes) if classes is not None else None
        wish = wanted(running.study, provider_names(provider), parse_kinds(media), per_class)
        if plan_only:
            if class_list is None:
                raise UserError("--plan needs the classes; name them with --classes, such as --classes kinetics400.")
            _plan(running, len(class_list), wish)
            return
        open_storage(running.study)
        scope, lines, count = running.study.database().write(
            lambda session: _register(running, session, class_list, wish)
        )
        _tell(running, count, wish, lines)
        settings = running.study.section(CrawlSettings)
        top_up = TopUp(
            scope,
            overrides=running.study.overrides,
            drains=drains(running.study),
            longest_wait_s=settings.longest_wait_s,
        )
        _run(running, top_up, engine)


def _plan(running: Command, classes: int, wish: Wanted) -> None:
    lines = _possible(running, classes, wish)
    running.emit(plan=as_json(lines))
    show_plan(running.console, classes, lines)


def _possible(running: Command, classes: int, wish: Wanted) -> list[PlanLine]:
    """The plan. Raises UserError where it cannot be carried out."""
    settings, scope = running.study.section(CrawlSettings), wish.scope(0)
    lines = plan(classes, scope, wish.providers, settings)
    refuse_impossible(scope, wish.providers, settings, lines)
    return lines


def _register(
    running: Command, session: Session, class_list: ClassList | None, wish: Wanted
) -> tuple[Scope, list[PlanLine], int]:
    """Writes what is to be asked, unless the plan is impossible."""
    scope, count = register(session, class_list, wish)
    return scope, _possible(running, count, wish), count


def _tell(running: Command, classes: int, wish: Wanted, lines: list[PlanLine]) -> None:
    show_plan(running.console, classes, lines)
    if not running.study.section(CrawlSettings).contact and {"commons", "openverse", "archive"} & set(wish.providers):
        running.console.print(
            "[yellow]Note:[/] robot policies ask for a contact: --set crawl.contact=you@example.org "
            "puts it into the User-Agent."
        )


def _run(running: Command, top_up: TopUp, engine: str) -> None:
    database = running.study.database()
    database.write(top_up.start)
    try:
        with CrawlView(running.console, lambda: database.read(crawl_counts)) as view:
            summary = run_stages(running.study, STAGES, engine=engine, top_up=top_up, show=view.show)
    except Interrupted as stopped:
        counts = database.read(crawl_counts)
        show_summary(running.console, counts)
        raise Interrupted(
            f"Stopped with {counts.states['waiting']:,} assets waiting; run the same command again to go on."
        ) from stopped
    _end(running, top_up, summary)


def _end(running: Command, top_up: TopUp, summary: RunSummary) -> None:
    counts = running.study.database().read(crawl_counts)
    running.emit(
        assets=dict(counts.states),
        errors={f"{state} {error}": count for (state, error), count in counts.errors.most_common()},
        pages=counts.pages,
        seconds=round(summary.seconds, 1),
        failed_jobs=[vars(job) for job in summary.failed],
    )
    show_summary(running.console, counts, summary.seconds)
    if top_up.waits_s is not None:
        running.console.print(
            f"{counts.states['waiting']:,} assets wait for hosts that asked for a pause, or do not answer, for "
            f"{top_up.waits_s / 60:.0f} minutes; run the same command again then."
        )
    for job in summary.failed:
        running.console.print(f"[yellow]{job.stage}, {job.subject}:[/] {job.error}: {job.detail}", markup=True)
    if summary.failed and not running.study.database().read(top_up.was_answered):
        first = summary.failed[0]
        raise WorldError(
            f"No query was answered ({first.error}: {first.detail}); mend that and run the same command again."
        )
