"""`omnisrc providers`: who can be asked, who answers, and what one finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from omnisrc.cli.crawl_view import in_time
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.config import near
from omnisrc.crawl.providers.about import about_of, limits_of
from omnisrc.crawl.providers.checking import Standing, check_providers, open_for, study_client
from omnisrc.crawl.providers.keys import key_variable, need_key
from omnisrc.crawl.providers.permission import need_permission
from omnisrc.crawl.providers.provider import Candidate, Question
from omnisrc.crawl.providers.registry import PROVIDERS, provider_class, provider_names
from omnisrc.crawl.providers.ytdlp import need_terms
from omnisrc.crawl.settings import ProviderSettings, YtdlpSettings
from omnisrc.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Search services, tables and folders: list them, check them, try one.")


@app.command("list")
def list_(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """List the providers: what they give, what they need, their limits and terms. Asks nobody."""
    with command(workspace, json, sets, database="none") as running:
        rows = [_row(name, running.study.section(ProviderSettings)) for name in PROVIDERS]
        running.emit(providers=rows)
        table = Table(show_header=False, box=None, pad_edge=False)
        for row in rows:
            table.add_row(Text(row["name"], style="bold"), Text("\n".join(_lines(row))))
        running.console.print(table)


def _row(name: str, settings: ProviderSettings) -> dict[str, Any]:
    made: Any = provider_class(name)
    about, own = about_of(made), getattr(settings, name, None)
    return {
        "name": name,
        "kinds": list(made.kinds),
        "key": key_variable(name) if about.needs_key else None,
        "key_there": _is_there(lambda: need_key(name, getattr(own, "key_file", ""))) if about.needs_key else None,
        "gate": about.gate or None,
        "gate_open": _is_there(lambda: need_gate(name, own)) if about.gate else None,
        "crawls": not about.finds_only,
        "limits": str(limits_of(made)),
        "terms": about.terms,
    }


def need_gate(name: str, own: object) -> None:
    """Raises UserError while a provider with a gate is closed."""
    if isinstance(own, YtdlpSettings):
        need_terms(own)
    else:
        need_permission(name, getattr(own, "permission", ""))


def _is_there(need: Callable[[], object]) -> bool:
    try:
        need()
    except UserError:
        return False
    return True


def _lines(row: dict[str, Any]) -> list[str]:
    """A provider in a few lines; what does not concern it is left out."""
    lines = [", ".join(row["kinds"]) + (f"; {row['limits']}" if row["limits"] else "")]
    if row["key"]:
        lines.append(f"key {row['key']}: {'there' if row['key_there'] else 'missing'}")
    if row["gate"]:
        lines.append(f"needs {row['gate']}: {'given' if row['gate_open'] else 'not given'}")
    return [*lines, row["terms"]] if row["terms"] else lines


@app.command()
def check(
    names: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME,...]", help="Whom to ask.  [default: all that are configured]", show_default=False
        ),
    ] = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Make one tiny call of each provider: is it there, is its key accepted, what is left of its quota.

    Exit code 1 when one fails.
    """
    with command(workspace, json, sets, database="none") as running:
        found = check_providers(running.study, provider_names(names) if names is not None else [])
        failed = [standing.name for standing in found if standing.failed]
        running.emit(providers=[{**asdict(standing), "failed": standing.failed} for standing in found], failed=failed)
        table = Table("name", "reachable", "key", "quota", "", box=None, pad_edge=False, header_style="bold")
        for standing in found:
            table.add_row(*map(Text, _cells(standing)))
        running.console.print(table)
    if failed:
        raise typer.Exit(1)


def _cells(standing: Standing) -> list[str]:
    if not standing.configured:
        return [standing.name, "not asked", "", "", standing.problem]
    reached = {None: "nobody to ask", True: "yes", False: "no"}[standing.reachable]
    key = {None: "", True: "accepted", False: "refused"}[standing.key_accepted]
    quota = f"{standing.quota or ''} for {in_time(standing.pause_s)}" if standing.pause_s else standing.quota or ""
    return [standing.name, reached, key, quota, "\n".join(filter(None, (standing.problem, standing.note)))]


@app.command()
def find(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The provider.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for, as a class name or query.")],
    media: Annotated[
        str | None, typer.Option("--media", metavar="KIND", help="image or video.", show_default="the provider's first")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Finds to show, from the first page.")] = 10,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Show what one search finds, with licences and sizes; nothing is fetched or stored."""
    with command(workspace, json, sets, database="none") as running:
        client = study_client(running.study)
        provider = open_for(running.study, provider_names(name)[0], client)
        kind = media or provider.kinds[0]
        if kind not in provider.kinds:
            raise UserError(f"The provider `{name}` gives no {kind!r}.{near(kind, provider.kinds)}")
        if not text.strip():
            raise UserError("There is nothing to look for in an empty text; name an action, as `juggling balls`.")
        if limit < 1:
            raise UserError(f"--limit {limit} asks for nothing; give at least 1.")

        async def ask() -> list[Candidate]:
            async with client:
                return (await provider.find(Question(text, kind, text), "", min(limit, provider.page_size))).candidates

        found = asyncio.run(ask())
        running.emit(candidates=[asdict(candidate) for candidate in found])
        table = Table("title", "licence", "size", "seconds", "page", box=None, pad_edge=False, header_style="bold")
        for one in found:
            size = f"{one.width}x{one.height}" if one.width and one.height else ""
            seconds = f"{one.duration:.0f}" if one.duration else ""
            cells = [one.title or "", one.license or "", size, seconds, one.page_url or one.url]
            table.add_row(*map(Text, cells))
        running.console.print(table)
