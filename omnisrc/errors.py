"""What can go wrong, by class: the user's mistakes, the world's failures, and what became of one item."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UserError(Exception):
    """The user's mistake, as one sentence that names the thing, what is wrong and what to do. Exit code 2."""


class WorldError(Exception):
    """The world's failure (network, disk, database), as one sentence. Exit code 1."""


class Interrupted(Exception):
    """The user asked to stop. Exit code 130."""


class ErrorClass(StrEnum):
    """Why an item failed or was refused; the same words in SQL, tables and reports."""

    BAD_URL = "bad-url"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    HTTP_4XX = "http-4xx"
    HTTP_429 = "http-429"
    HTTP_5XX = "http-5xx"
    REDIRECT = "redirect"
    ROBOTS = "robots"
    OPT_OUT = "opt-out"
    LICENCE = "licence"
    REFUSED_ADDRESS = "refused-address"
    TOO_LARGE = "too-large"
    TOO_SMALL = "too-small"
    EMPTY = "empty"
    NOT_MEDIA = "not-media"
    DECODE = "decode"
    BOMB = "bomb"
    CONTAMINATED = "contaminated"
    QUOTA = "quota"
    PROVIDER = "provider"
    STORAGE = "storage"
    WORKER_LOST = "worker-lost"
    TAKEN_DOWN = "taken-down"


REFUSED = frozenset(
    {
        ErrorClass.BAD_URL,
        ErrorClass.ROBOTS,
        ErrorClass.OPT_OUT,
        ErrorClass.LICENCE,
        ErrorClass.REFUSED_ADDRESS,
        ErrorClass.TOO_LARGE,
        ErrorClass.TOO_SMALL,
        ErrorClass.EMPTY,
        ErrorClass.NOT_MEDIA,
        ErrorClass.DECODE,
        ErrorClass.BOMB,
        ErrorClass.CONTAMINATED,
        ErrorClass.TAKEN_DOWN,
    }
)
"""Classes of items that we did not want (state `refused`); the others could not be had (state `failed`)."""


@dataclass(frozen=True)
class RetryRule:
    """How often an item is tried in all, and the first pause in seconds (doubled each time, with full jitter)."""

    attempts: int = 1
    pause_s: float = 0.0


RETRY: dict[ErrorClass, RetryRule] = {
    ErrorClass.DNS: RetryRule(3, 5.0),
    ErrorClass.CONNECT: RetryRule(3, 2.0),
    ErrorClass.TIMEOUT: RetryRule(2, 5.0),
    ErrorClass.TRUNCATED: RetryRule(3, 1.0),
    ErrorClass.HTTP_429: RetryRule(6, 2.0),
    ErrorClass.HTTP_5XX: RetryRule(4, 1.0),
    ErrorClass.QUOTA: RetryRule(6, 60.0),
    ErrorClass.PROVIDER: RetryRule(3, 2.0),
    ErrorClass.STORAGE: RetryRule(3, 2.0),
    ErrorClass.WORKER_LOST: RetryRule(3, 0.0),
}
"""Classes that are worth another try; whatever is not named here is final at once."""


def retry_rule(error: ErrorClass) -> RetryRule:
    return RETRY.get(error, RetryRule())


class ItemError(Exception):
    """What became of one item (an asset, a sample, a target file): an error class and its particulars.

    `retry_after` is the pause in seconds that a server asked for.
    """

    def __init__(
        self,
        error: ErrorClass,
        detail: str = "",
        *,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{error.value}: {detail}" if detail else error.value)
        self.error = error
        self.detail = detail
        self.http_status = http_status
        self.retry_after = retry_after
