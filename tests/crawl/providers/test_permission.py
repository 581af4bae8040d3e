from __future__ import annotations

from pathlib import Path

import pytest

from omnisrc.crawl.providers.permission import need_permission
from omnisrc.errors import UserError


@pytest.mark.parametrize("text", ["", "  ", "yes", "1", "granted"])
def test_a_word_is_no_permission(text: str) -> None:
    with pytest.raises(UserError, match=r"providers\.pexels\.permission"):
        need_permission("pexels", text)


def test_a_file_must_be_there_and_a_reference_must_say_something(tmp_path: Path) -> None:
    letter = tmp_path / "letter.pdf"
    with pytest.raises(UserError, match="no file"):
        need_permission("pexels", str(letter))
    with pytest.raises(UserError, match="no file"):
        need_permission("pexels", "permission-of-pexels.pdf")
    letter.write_bytes(b"dear user")
    need_permission("pexels", str(letter))
    need_permission("pexels", "e-mail of J. Doe, Pexels, 2026-03-04")
