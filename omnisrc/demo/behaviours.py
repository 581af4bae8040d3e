"""How a web item may misbehave, how many of each a world has, and what a crawl must make of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """`state` and `error` are what an asset must come to; `medium` restricts it to images or videos."""

    count: int
    state: str
    error: str | None = None
    medium: str | None = None


BEHAVIOURS: dict[str, Behaviour] = {
    "404": Behaviour(5, "failed", "http-4xx"),
    "410": Behaviour(2, "failed", "http-4xx"),
    "500-once": Behaviour(4, "stored"),
    "429-once": Behaviour(2, "stored"),
    "truncated": Behaviour(2, "failed", "truncated"),
    "html": Behaviour(3, "refused", "not-media"),
    "empty": Behaviour(2, "refused", "empty"),
    "redirect": Behaviour(4, "stored"),
    "redirect-loop": Behaviour(1, "failed", "redirect"),
    "redirect-inside": Behaviour(2, "refused", "refused-address"),
    "noai": Behaviour(4, "refused", "opt-out"),
    "robots": Behaviour(4, "refused", "robots"),
    "small": Behaviour(3, "refused", "too-small", "image"),
    "bomb": Behaviour(1, "refused", "bomb", "image"),
    "headless": Behaviour(2, "refused", "decode", "video"),
}
"""All else is `ok`: stored, or a duplicate where the same bytes lie under another address too."""
