"""Access by client credentials (RFC 6749, section 4.4). A secret is in no repr, log, error text or table.

They come from the file that a setting names (YAML or JSON with `client_id` and `client_secret`), else from the
environment: OMNISRC_<NAME>_CLIENT_ID and OMNISRC_<NAME>_CLIENT_SECRET.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from omnisrc.crawl.providers.call import post_json
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.client import Client

EARLY_S = 30.0
"""A token is given up so long before it expires: a request takes time."""

DEFAULT_LIFE_S = 3600.0
_TOKEN = re.compile(r"[!-~]{1,4096}")


@dataclass(frozen=True)
class Credentials:
    """What a registered application proves itself with."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


def read_credentials(provider: str, path: str) -> Credentials | None:
    """From the file at `path`, else from the environment; None where neither is given. Raises UserError."""
    if path:
        return _from_file(Path(path).expanduser(), f"providers.{provider}.credentials")
    names = [f"OMNISRC_{provider.upper()}_CLIENT_{part}" for part in ("ID", "SECRET")]
    given = [os.environ.get(name, "").strip() for name in names]
    if not any(given):
        return None
    for name, text in zip(names, given, strict=True):
        if not text:
            raise UserError(f"{name} is not set, but its counterpart is; set both, or neither to ask anonymously.")
    return Credentials(*given)


def _from_file(path: Path, setting: str) -> Credentials:
    wanted = f"it must hold client_id and client_secret, as YAML or JSON ({setting})"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"The file {path} cannot be read ({error.strerror}); {wanted}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None  # what the parser says quotes the file
    if not isinstance(content, dict):
        raise UserError(f"The file {path} does not fit; {wanted}.")
    values = [str(content.get(name) or "").strip() for name in ("client_id", "client_secret")]
    if not all(values):
        raise UserError(f"The file {path} lacks a value; {wanted}.")
    return Credentials(*values)


class Access:
    """An access token, fetched when it is first needed and again when it is old or was refused.

    Args:
        url: the token endpoint.
        clock: seconds that only grow.
    """

    def __init__(self, client: Client, url: str, credentials: Credentials, clock: Callable[[], float]) -> None:
        self._client = client
        self._url = url
        self._credentials = credentials
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self.calls = 0

    async def headers(self) -> dict[str, str]:
        """The header that a request is authorised by. Raises ItemError; no text of the server's is repeated in it."""
        if not self._token or self._clock() >= self._until:
            await self._fetch()
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """The token was refused: the next request takes a new one."""
        self._token = ""

    def hide(self, text: str) -> str:
        """`text` without what is secret, for error texts in which a server repeats what it was sent."""
        for secret in (self._token, self._credentials.client_secret, self._credentials.client_id):
            text = text.replace(secret, "***") if secret else text
        return text

    async def _fetch(self) -> None:
        self.calls += 1
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        began = self._clock()
        try:
            reply = await post_json(self._client, self._url, form)
        except ItemError as error:
            raise _refused(error) from None
        token = reply.data.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ItemError(ErrorClass.PROVIDER, "the answer to the credentials holds no access token")
        self._token = token
        self._until = began + max(0.0, _life_s(reply.data.get("expires_in")) - EARLY_S)


def _refused(error: ItemError) -> ItemError:
    """The failure without what the server said: it may repeat what it was sent."""
    detail = f"no access token: {f'HTTP {error.http_status}' if error.http_status else error.error.value}"
    if error.http_status in (400, 401, 403):
        detail += "; are the credentials right?"
    return ItemError(error.error, detail, http_status=error.http_status, retry_after=error.retry_after)


def _life_s(value: object) -> float:
    """`expires_in`, which some servers give as text."""
    try:
        return float(str(value))
    except ValueError:
        return DEFAULT_LIFE_S
