"""What became of an asset, and what the catalogue is told of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from db.models import Asset
from omnisrc.errors import REFUSED, ErrorClass, ItemError, RetryRule, retry_rule
from omnisrc.web.refusal import Refusal

DECIDED = frozenset({ErrorClass.ROBOTS, ErrorClass.OPT_OUT, ErrorClass.REFUSED_ADDRESS})
"""Classes that are decisions about an owner's wish or our safety: their evidence is kept."""


@dataclass(frozen=True)
class Fetched:
    """What is known of an answer beside its bytes; its licence and author go before those of the find."""

    final_url: str | None = None
    http_status: int | None = None
    license: str | None = None
    author: str | None = None


@dataclass(frozen=True)
class Outcome:
    """One asset's end in one drain: stored under `sha256`, equal to what is stored under it, or an error.

    `later_s` puts it back without blame: nobody has asked for it yet.
    """

    asset: Asset
    fetched: Fetched = Fetched()
    sha256: str | None = None
    key: str | None = None
    error: ItemError | None = None
    later_s: float | None = None
    sha1: str | None = None


def rule_of(error: ItemError) -> RetryRule:
    """How often an error is worth a try. A robots.txt that cannot be had now forbids everything, but not for ever."""
    if error.error is ErrorClass.ROBOTS and (error.http_status or 0) >= 429:
        return retry_rule(ErrorClass.HTTP_5XX)
    return retry_rule(error.error)


def pause_before_retry(error: ItemError, attempts: int) -> float | None:
    """Seconds until the asset may be tried again after `attempts` tries, or None where the error is final.

    Exponential with full jitter; never sooner than the server asked for.
    """
    rule = rule_of(error)
    if attempts >= rule.attempts:
        return None
    backoff = rule.pause_s * 2.0 ** (attempts - 1) * random.random()
    return max(backoff, error.retry_after or 0.0)


def error_row(outcome: Outcome, moment: float) -> dict[str, Any]:
    """The new values of an asset that was not stored, at the database's time `moment`."""
    asset, error = outcome.asset, outcome.error
    if error is None:
        return _row(outcome, "waiting", asset.attempts, not_before=moment + (outcome.later_s or 0.0), error=asset.error)
    attempts = asset.attempts + 1
    pause = pause_before_retry(error, attempts)
    if pause is not None:
        return _row(outcome, "waiting", attempts, not_before=moment + pause, error=error.error.value)
    state = "refused" if error.error in REFUSED else "failed"
    return _row(outcome, state, attempts, not_before=0.0, error=error.error.value, fetched=moment)


def stored_row(outcome: Outcome, state: str, blob_id: int, moment: float) -> dict[str, Any]:
    """The new values of an asset whose bytes are stored: by itself (`stored`) or before (`duplicate`)."""
    row = _row(outcome, state, outcome.asset.attempts + 1, not_before=0.0, error=None, fetched=moment)
    return {**row, "blob_id": blob_id}


def _row(
    outcome: Outcome, state: str, attempts: int, *, not_before: float, error: str | None, fetched: float | None = None
) -> dict[str, Any]:
    status = outcome.fetched.http_status
    if outcome.error is not None and outcome.error.http_status is not None:
        status = outcome.error.http_status
    return {
        "id": outcome.asset.id,
        "state": state,
        "error": error,
        "error_detail": outcome.error.detail[:1000] if outcome.error else None,
        "http_status": status,
        "final_url": outcome.fetched.final_url,
        "fetched": fetched,
        "attempts": attempts,
        "not_before": not_before,
        "lease_token": None,
        "blob_id": None,
        "license": outcome.fetched.license or outcome.asset.license,
        "author": outcome.fetched.author or outcome.asset.author,
    }


def decision_row(outcome: Outcome, moment: float) -> dict[str, Any] | None:
    """The decision and its evidence, for the errors that are decisions."""
    error = outcome.error
    if error is None or error.error not in DECIDED:
        return None
    evidence = error.evidence if isinstance(error, Refusal) else {"detail": error.detail}
    return {
        "asset_id": outcome.asset.id,
        "kind": error.error.value,
        "allowed": False,
        "evidence": evidence,
        "decided": moment,
    }
