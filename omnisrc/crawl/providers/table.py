"""Tables of URLs as a provider: rows whose class is the one asked for, or whose text holds the words of the query."""

from __future__ import annotations

import asyncio
import glob
import re
from collections.abc import Callable
from pathlib import Path

from omnisrc.classes.model import label_key
from omnisrc.classes.stem import is_gerund, singular_of, verb_of
from omnisrc.crawl.providers.about import About
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.table_columns import candidate, map_columns, row_kind
from omnisrc.crawl.providers.table_rows import Row, columns_of, rows_from
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.client import Client

_WORD = re.compile(r"[^\W_]+")


class Table:
    """The provider `table`. A page's cursor is `file:place`."""

    page_size = 5000
    kinds = ("image", "video")
    about = About("your own list; licences as its columns tell, robots.txt and opt-outs as everywhere")
    site = None

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        given = settings.table
        if not given.path:
            raise UserError(
                "The provider `table` needs a table of URLs; name it with --set providers.table.path=FILE.csv "
                "(CSV, TSV, JSON lines or Parquet)."
            )
        self._paths = sorted(Path(name) for name in glob.glob(str(Path(given.path).expanduser())))
        if not self._paths:
            raise UserError(f"There is no table {given.path} (providers.table.path).")
        self._kind = given.kind
        self._mapped = [map_columns(_columns(path), given.columns, path) for path in self._paths]

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """The next rows that fit, in the order of the table."""
        return await asyncio.to_thread(self._scan, question, cursor, max(1, min(limit, self.page_size)))

    def _scan(self, question: Question, cursor: str, limit: int) -> Page:
        number, _, place = (cursor or "0:0").partition(":")
        found: list[Candidate] = []
        start = int(place)
        for at in range(int(number), len(self._paths)):
            mapped = self._mapped[at]
            fits = _matcher(question, mapped)
            try:
                for row, after in rows_from(self._paths[at], start):
                    if row.get(mapped["url"]) and fits(row) and row_kind(row, mapped, self._kind) == question.kind:
                        found.append(candidate(row, mapped, question.kind))
                        if len(found) == limit:
                            return Page(found, f"{at}:{after}", calls=0)
            except OSError as error:
                raise ItemError(ErrorClass.STORAGE, f"{self._paths[at]}: {error.strerror}") from error
            start = 0
        return Page(found, None, calls=0)


def _columns(path: Path) -> list[str]:
    try:
        return columns_of(path)
    except (OSError, ItemError) as error:
        raise UserError(f"The table {path} cannot be read: {error}.") from error


def _matcher(question: Question, mapped: dict[str, str]) -> Callable[[Row], bool]:
    if "class" in mapped:
        wanted = {label_key(question.class_name), label_key(question.text)} - {""}
        return lambda row: label_key(row.get(mapped["class"], "")) in wanted
    asked = frozenset(map(stem, _WORD.findall(question.text.lower())))
    return lambda row: bool(asked) and asked <= set(map(stem, _WORD.findall(row.get(mapped["text"], "").lower())))


def stem(word: str) -> str:
    """What `riding`, `rides` and `ride` share."""
    return verb_of(word) if is_gerund(word) else singular_of(word)
