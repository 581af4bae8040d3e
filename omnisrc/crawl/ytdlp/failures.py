"""What yt-dlp raises, by class. Its messages are sentences for people; the words are those of its own extractors."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.failures import status_failure

RATE_PAUSE_S = 3600.0
"""YouTube bars a visitor for about an hour."""

MESSAGES = (
    (ErrorClass.HTTP_4XX, r"private video"),  # which goes on: sign in if you have been granted access
    (ErrorClass.HTTP_429, r"confirm you.{1,3}re not a bot|rate.?limit|too many requests|try again later|captcha"),
    (
        ErrorClass.LICENCE,
        r"sign in|log in|logged.in|login|age.restricted|confirm your age|members.only|cookies|premium|\bDRM\b"
        r"|join this channel|purchase|rental|subscri|password",
    ),
    (
        ErrorClass.HTTP_4XX,
        r"private|removed|deleted|terminated|no longer available|does(?:n't| not) exist|unavailable|not available"
        r"|blocked it|geo.?restrict|not found|copyright",
    ),
    (
        ErrorClass.NOT_MEDIA,
        r"unsupported url|no video formats|requested format is not|no video could be found|live event"
        r"|is not currently live|will begin|premieres",
    ),
    (ErrorClass.TIMEOUT, r"timed out|timeout"),
    (ErrorClass.TLS, r"certificate|\bSSL\b"),
    (ErrorClass.TOO_LARGE, r"larger than max-filesize|file too large"),
    (ErrorClass.CONNECT, r"tunnel connection failed|connection (?:refused|reset|aborted)|remote end closed"),
)
"""The first that fits counts."""

UNREACHED = ("TransportError", "ProxyError")


def failure_of(error: BaseException) -> ItemError:
    """An exception of yt-dlp as an ItemError. What nothing here knows is the extractor's fault: PROVIDER."""
    text = _one_line(str(getattr(error, "orig_msg", None) or error) or type(error).__name__)
    for cause in _chain(error):
        status = getattr(cause, "status", None)
        if type(cause).__name__ == "HTTPError" and isinstance(status, int):
            failure = status_failure(status, RATE_PAUSE_S if status == 429 else None)
            if failure is not None:
                return failure
        if type(cause).__name__ in ("IncompleteRead", "ContentTooShortError"):
            return ItemError(ErrorClass.TRUNCATED, text)
        if isinstance(cause, TimeoutError):
            return ItemError(ErrorClass.TIMEOUT, text)
        if isinstance(cause, ssl.SSLError) or type(cause).__name__ in ("SSLError", "CertificateVerifyError"):
            return ItemError(ErrorClass.TLS, text)
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError) and cause.errno == 27:  # EFBIG
            return ItemError(ErrorClass.TOO_LARGE, text)
    said = failure_in(text)
    if said.error is ErrorClass.PROVIDER and any(type(c).__name__ in UNREACHED for c in _chain(error)):
        return ItemError(ErrorClass.CONNECT, text)
    return said


def failure_in(text: str) -> ItemError:
    """The failure that a message of yt-dlp tells."""
    text = _one_line(text)
    for kind, words in MESSAGES:
        if re.search(words, text, re.IGNORECASE):
            return ItemError(kind, text, retry_after=RATE_PAUSE_S if kind is ErrorClass.HTTP_429 else None)
    return ItemError(ErrorClass.PROVIDER, text)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what yt-dlp wrapped in it, and what that came of."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = getattr(one, "exc_info", None)
        waiting += [wrapped[1] if isinstance(wrapped, tuple) and len(wrapped) > 1 else None]
        waiting += [getattr(one, "cause", None), one.__cause__, one.__context__]


def _one_line(text: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).removeprefix("ERROR: ")
    return " ".join(text.partition("; please report this issue")[0].split())[:500]
