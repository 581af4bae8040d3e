"""The table of pages: `class<TAB>url` lines, or a table with columns `class` and `url`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from omnisrc.classes.model import label_key
from omnisrc.crawl.providers.provider import Candidate, Question
from omnisrc.crawl.providers.table_columns import candidate, map_columns
from omnisrc.crawl.providers.table_rows import columns_of, rows_from
from omnisrc.errors import ErrorClass, ItemError

TABLES = (".csv", ".jsonl", ".ndjson", ".parquet")


def pages_of(path: Path, question: Question) -> list[Candidate]:
    """The pages of the question's class, in the order of the table.

    Raises UserError for a table without these columns, ItemError(PROVIDER) for a line that is not like this,
    ItemError(STORAGE).
    """
    wanted = {label_key(question.class_name), label_key(question.text)} - {""}
    try:
        rows = _table(path) if path.suffix.lower() in TABLES else _lines(path)
        return [page for name, page in rows if label_key(name) in wanted]
    except OSError as error:
        raise ItemError(ErrorClass.STORAGE, f"{path}: {error.strerror}") from error


def _table(path: Path) -> Iterator[tuple[str, Candidate]]:
    mapped = map_columns(columns_of(path), {}, path)
    for row, _ in rows_from(path, 0):
        if row.get(mapped["url"]):
            page = candidate(row, mapped, "video")
            yield row.get(mapped.get("class", ""), ""), replace(page, page_url=page.page_url or page.url)


def _lines(path: Path) -> Iterator[tuple[str, Candidate]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, tab, url = line.strip().partition("\t")
            if not tab or not url.strip():
                raise ItemError(ErrorClass.PROVIDER, f"{path}, line {number}: not a class, a tab and a URL")
            yield name, Candidate(url=url.strip(), kind="video", page_url=url.strip())
