"""The gate before services whose terms forbid data sets: a written permission, named by a setting."""

from __future__ import annotations

import re
from pathlib import Path

from omnisrc.errors import UserError

SHORTEST = 10
_PATH = re.compile(r"[/\\]|^~|\.(?:pdf|txt|md|eml|msg|html?|png|jpe?g|docx?)$", re.IGNORECASE)


def need_permission(name: str, permission: str) -> None:
    """Raises UserError unless `permission` is a file that is there, or a reference that says who gave it and when."""
    text = permission.strip()
    if not text:
        raise UserError(
            f"The terms of {name} forbid building data sets without its permission; if you have it in writing, name "
            f"the file or its reference with --set providers.{name}.permission=..."
        )
    if _PATH.search(text):
        if not Path(text).expanduser().is_file():
            raise UserError(f"There is no file {text} (providers.{name}.permission).")
    elif len(text) < SHORTEST:
        raise UserError(
            f"The setting providers.{name}.permission is {text!r}; it must name the file of a written permission, or "
            "say who gave it and when."
        )
