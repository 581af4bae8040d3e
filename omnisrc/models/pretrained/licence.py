"""Under which licence a pretrained folder may be used: what its model card or its LICENSE file says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
MOST = 1 << 20  # bytes of a card that are read

PUBLISHED = {
    "videomae": "CC-BY-NC-4.0",
    "timesformer": "CC-BY-NC-4.0",
    "vivit": "MIT",
    "xclip": "MIT",
    "siglip": "Apache-2.0",
}
"""Licences of the checkpoints that the authors published, by architecture: the cards of MCG-NJU/videomae-base,
facebook/timesformer-base-finetuned-k400, google/vivit-b-16x2-kinetics400, microsoft/xclip-base-patch32 and
google/siglip-base-patch16-224 on huggingface.co."""


def licence_of(path: Path) -> str | None:
    """The `license` of the model card's head (README.md), else the first line of the LICENSE file; None: not stated."""
    said = _front_matter(_text(path / "README.md")).get("license")
    if isinstance(said, str) and said.strip():
        return said.strip()
    lines = (line.strip() for line in _text(path / "LICENSE").splitlines())
    return next((line[:100] for line in lines if line), None)


def licence_said(model_type: str, stated: str | None) -> str:
    """What is shown: the folder's own licence, or that it states none and what the published weights are under."""
    if stated:
        return stated
    published = PUBLISHED.get(model_type)
    return f"not stated (the authors' {model_type} weights: {published})" if published else "not stated"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def _front_matter(text: str) -> dict[str, Any]:
    found = FRONT_MATTER.match(text)
    try:
        head = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError:
        return {}
    return head if isinstance(head, dict) else {}
