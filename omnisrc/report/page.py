"""The report: one self-contained HTML page about a study, whole or half done."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from omnisrc.errors import UserError
from omnisrc.media.settings import MediaSettings
from omnisrc.report import display
from omnisrc.report.bars import change_bar, stacked_bar
from omnisrc.report.confusion import ClassChange
from omnisrc.report.content import Content, gather
from omnisrc.report.examples import Place
from omnisrc.report.funnel import STATES, Row
from omnisrc.report.licences import Licence
from omnisrc.report.limits import Limits
from omnisrc.report.selection import REASONS
from omnisrc.report.thumbnails import Pictures
from omnisrc.shards.store import store_of
from omnisrc.study import Study

HERE = Path(__file__).parent
FILE = "report.html"

Progress = Callable[[int, int], None]
"""Told of (pictures made, pictures in all)."""


def write_report(
    study: Study,
    output: Path | None = None,
    selection: str | None = None,
    limits: Limits | None = None,
    progress: Progress = lambda done, count: None,
) -> Path:
    """Writes the page and gives its path; `output` None: report.html in the study's reports/.

    Args:
        selection: the name of the selection that is shown; None: the newest.

    Raises:
        UserError: there is no such selection, or `output` cannot be a file.
    """
    path = output_path(study, output)
    content = gather(study, selection, limits or Limits())
    pictures = Pictures(store_of(study), study.section(MediaSettings), content.limits.thumbnail)
    pictures.make(content.places(), progress)
    page = render(content, pictures.uri)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def output_path(study: Study, output: Path | None) -> Path:
    """Where the page goes.

    Raises:
        UserError: it is a folder, or in a folder that does not exist.
    """
    if output is None:
        study.reports.mkdir(parents=True, exist_ok=True)
        return study.reports / FILE
    path = output.expanduser().absolute()
    if path.is_dir():
        raise UserError(f"The output {output} is a folder; name a file, such as {output / FILE}.")
    if not path.parent.is_dir():
        raise UserError(f"The folder {path.parent} of --output does not exist; make it, or name another file.")
    return path


def render(content: Content, picture_uri: Callable[[Iterable[Place]], str | None]) -> str:
    """The page. The template escapes every value; the page's own policy lets a browser run no script and load nothing.

    Args:
        picture_uri: the data URI of the picture at some places, where there is one.
    """
    style = (HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(display.FILTERS)
    environment.globals.update(
        vars(content),
        missing=content.missing,
        tiles=content.tiles,
        score_chart=content.score_chart,
        reasons=REASONS,
        picture_uri=picture_uri,
        asset_bar=asset_bar,
        licence_bar=lambda row: licence_bar(row, content.licences.rows),
        gain_bar=gain_bar,
        style=Markup(style),  # ours
        style_hash=f"sha256-{digest}",
    )
    return environment.get_template("page.html.j2").render()


def asset_bar(row: Row, whole: int) -> Markup:
    """What became of the assets of a row; `whole` assets fill the bar."""
    return stacked_bar([(state, row.states[state], state) for state in STATES], whole, width=110)


def licence_bar(row: Licence, rows: Iterable[Licence]) -> Markup:
    """Assets stored of those found under a licence."""
    whole = max((other.found for other in rows), default=0)
    return stacked_bar([("stored", row.stored, "stored"), ("not stored", row.found - row.stored, "waiting")], whole)


def gain_bar(change: ClassChange) -> Markup:
    return change_bar(change.change)
