"""`omnisrc crawl`: find and fetch."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from omnisrc.classes.load import load_class_list
from omnisrc.classes.model import ClassList
from omnisrc.cli.crawl_control import pause, rate, refuse_options_before, resume
from omnisrc.cli.crawl_view import CrawlView, show_plan, show_summary, show_warnings
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.crawl import budgets
from omnisrc.crawl.counts import crawl_counts
from omnisrc.crawl.jobs import STAGES
from omnisrc.crawl.order import ordered, record
from omnisrc.crawl.plan import PlanLine, as_json, plan, refuse_impossible
from omnisrc.crawl.plan_budgets import over_budget
from omnisrc.crawl.providers.registry import PROVIDERS, provider_names
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.start import Wanted, parse_kinds, register, wanted
from omnisrc.crawl.top_up import TopUp
from omnisrc.crawl.windows import asked_window
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
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only what was put up from this day on (UTC).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Only what was put up before this day (UTC).")
    ] = None,
    newer: Annotated[
        bool, typer.Option("--newer", help="Ask for what was put up since the last crawl, not for more of the old.")
    ] = False,
    max_disk: Annotated[
        str | None, typer.Option("--max-disk", metavar="SIZE", help="Stop when landing shards hold so much: 20GB.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option("--max-hours", metavar="HOURS", help="Stop after so much crawling of this study.")
    ] = None,
    max_download: Annotated[
        str | None, typer.Option("--max-download", metavar="SIZE", help="Stop when so much was fetched: 100GB.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With --engine celery: only order it; `omnisrc dispatch` keeps it going.")
    ] = False,
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
    budget = {"max_disk": max_disk, "max_hours": max_hours, "max_download": max_download}
    sets = [*(sets or ()), *(f"crawl.{name}={value}" for name, value in budget.items() if value is not None)]
    if detach and engine != "celery":
        raise UserError("--detach leaves the crawl to a cluster; it goes with --engine celery.")
    with command(workspace, json, sets, database="none" if plan_only else "create") as running:
        class_list = load_class_list(classes) if classes is not None else None
        window = asked_window(since, until)
        wish = wanted(running.study, provider_names(provider), parse_kinds(media), per_class, window, newer)
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
        top_up = TopUp(scope, running.study)
        running.study.database().write(top_up.start)
        if detach:
            _leave(running, scope, top_up)
            return
        try:
            with ordered(running.study, scope, top_up) if engine == "celery" else nullcontext():
                _run(running, top_up, engine)
        except budgets.BudgetReached as end:
            _end_at_budget(running, top_up, end.used)


def _plan(running: Command, classes: int, wish: Wanted) -> None:
    lines = _possible(running, classes, wish)
    warnings = over_budget(lines, running.study.section(CrawlSettings), running.study.landing)
    running.emit(plan={**as_json(lines), "over_budget": warnings})
    show_plan(running.console, classes, lines)
    show_warnings(running.console, warnings)


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
    settings = running.study.section(CrawlSettings)
    used = running.study.database().read(lambda session: budgets.used(session, settings, running.study.landing))
    show_warnings(running.console, over_budget(lines, settings, running.study.landing, used))
    if not running.study.section(CrawlSettings).contact and {"commons", "openverse", "archive"} & set(wish.providers):
        running.console.print(
            "[yellow]Note:[/] robot policies ask for a contact: --set crawl.contact=you@example.org "
            "puts it into the User-Agent."
        )


def _leave(running: Command, scope: Scope, top_up: TopUp) -> None:
    """Writes the crawl down for the dispatcher, and waits for nothing."""
    study = running.study
    order_id = study.database().write(lambda session: record(session, scope, top_up, study.overrides))
    running.emit(order=order_id)
    running.console.print(
        f"Crawl {order_id} was ordered: `omnisrc dispatch` keeps it going, `omnisrc status` shows it, and"
        " `omnisrc crawl pause` halts it.",
        soft_wrap=True,
    )


def _run(running: Command, top_up: TopUp, engine: str) -> None:
    database = running.study.database()
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


def _end_at_budget(running: Command, top_up: TopUp, used: budgets.Used) -> None:
    counts, lacking = running.study.database().read(lambda session: (crawl_counts(session), top_up.lacking(session)))
    sentence = (
        f"The crawl stopped at its budget {used.setting}: {used.sentence()}; {counts.states['waiting']:,} assets wait "
        f"and {lacking:,} classes lack something. Go on with the same command and another {used.option}."
    )
    running.emit(
        assets=dict(counts.states),
        errors={f"{state} {error}": count for (state, error), count in counts.errors.most_common()},
        pages=counts.pages,
        budget={"name": used.name, "spent": used.spent, "limit": used.limit, "sentence": sentence},
    )
    show_summary(running.console, counts)
    running.console.print(sentence, soft_wrap=True)


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
