"""A decision not to take something, with the evidence that an audit asks for."""

from __future__ import annotations

from typing import Any

from omnisrc.errors import ErrorClass, ItemError


class Refusal(ItemError):
    """An ItemError for what its owner does not give us (ROBOTS, OPT_OUT), with the evidence as JSON."""

    def __init__(
        self, error: ErrorClass, detail: str, evidence: dict[str, Any], *, http_status: int | None = None
    ) -> None:
        super().__init__(error, detail, http_status=http_status)
        self.evidence = evidence
