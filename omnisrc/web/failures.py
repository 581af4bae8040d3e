"""The error class of whatever goes wrong between the socket and the last byte of a body."""

from __future__ import annotations

import ssl

import aiohttp

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.connector import RefusedAddressError

CAUGHT = (aiohttp.ClientError, TimeoutError, OSError)
"""What a request can raise for reasons of the world; anything else is a bug and shows itself."""


def request_failure(error: BaseException) -> ItemError:
    """An exception of the request or of its headers as an ItemError."""
    inner = getattr(error, "os_error", None)
    if isinstance(inner, RefusedAddressError) or isinstance(error, RefusedAddressError):
        return ItemError(ErrorClass.REFUSED_ADDRESS, str(inner or error))
    return ItemError(_class_of(error), _words(error))


def body_failure(error: BaseException) -> ItemError:
    """An exception while the body was read: what is lost there is the rest of the body."""
    if isinstance(error, TimeoutError):
        return ItemError(ErrorClass.TIMEOUT, _words(error))
    return ItemError(ErrorClass.TRUNCATED, _words(error))


def status_failure(status: int, retry_after: float | None) -> ItemError | None:
    """What a final status means: None for 200, else the error."""
    if status == 200:
        return None
    detail = f"HTTP {status}"
    if status == 429:
        return ItemError(ErrorClass.HTTP_429, detail, http_status=status, retry_after=retry_after)
    if 400 <= status < 500:
        return ItemError(ErrorClass.HTTP_4XX, detail, http_status=status)
    if 300 <= status < 400:
        return ItemError(ErrorClass.REDIRECT, detail, http_status=status)
    if status == 204 or status == 205:
        return ItemError(ErrorClass.EMPTY, detail, http_status=status)
    return ItemError(ErrorClass.HTTP_5XX, detail, http_status=status, retry_after=retry_after)


def _class_of(error: BaseException) -> ErrorClass:
    if isinstance(error, TimeoutError):
        return ErrorClass.TIMEOUT
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ErrorClass.DNS
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError | ssl.CertificateError):
        return ErrorClass.TLS
    if isinstance(error, aiohttp.InvalidURL):
        return ErrorClass.BAD_URL
    return ErrorClass.CONNECT


def _words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__
        return f"{error.host}: {reason}"[:500]
    return f"{type(error).__name__}: {error}".rstrip(": ")[:500]
