"""URLs as text from strangers: parsed once, by the parser that the connection uses, and refused where they are odd."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yarl import URL

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.addresses import Address, literal_address
from omnisrc.web.registrable import pacing_unit

SCHEMES = ("http", "https")
MAX_LENGTH = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[!-~]+")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True)
class WebUrl:
    """A URL fit to ask for: http or https, no credentials, host in canonical form, no fragment."""

    url: URL
    host: str
    port: int
    address: Address | None
    """What the host spells where it is a literal address."""

    @property
    def origin(self) -> str:
        return str(self.url.origin())

    @property
    def site(self) -> str:
        """The unit by which requests are paced and counted: the registrable domain, or `host:port`."""
        return pacing_unit(self.host, self.port)

    def __str__(self) -> str:
        return str(self.url)


def parse_url(text: str, base: URL | None = None) -> WebUrl:
    """Read a URL (relative to `base` where one is given). Raises ItemError(BAD_URL)."""
    text = text.strip()
    if not text or len(text) > MAX_LENGTH or _CONTROL.search(text):
        raise ItemError(ErrorClass.BAD_URL, "empty, too long or with control characters")
    try:
        # A URL in plain ASCII goes out as it came: signed URLs do not survive quoting.
        url = URL(text, encoded=_PLAIN.fullmatch(text) is not None)
        if base is not None:
            url = base.join(url)
        return _vetted(url)
    except ItemError:
        raise
    except Exception as error:  # whatever the parsers raise on hostile text: ValueError, IndexError, UnicodeError, ...
        raise ItemError(ErrorClass.BAD_URL, f"{text[:200]!r}: {error}") from error


def _vetted(url: URL) -> WebUrl:
    if url.scheme not in SCHEMES:
        raise ItemError(ErrorClass.BAD_URL, f"scheme {url.scheme!r} is not http or https")
    if url.raw_user is not None or url.raw_password is not None:
        raise ItemError(ErrorClass.BAD_URL, "credentials in the URL")
    host = (url.raw_host or "").lower().removesuffix(".")
    port = url.port
    if not host or not port:
        raise ItemError(ErrorClass.BAD_URL, "no host, or port 0")
    address = literal_address(host)
    if address is not None:
        host = str(address)
    elif len(host) > 253 or not _NAME.fullmatch(host):
        raise ItemError(ErrorClass.BAD_URL, f"host {host!r}")
    if host != url.raw_host:
        url = url.with_host(host)
    return WebUrl(url.with_fragment(None) if url.raw_fragment else url, host, port, address)
