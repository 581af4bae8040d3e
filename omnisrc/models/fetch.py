"""Fetches weights into a workspace's models/: whole and with the hash that was promised, or not at all."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from omnisrc.errors import ErrorClass, ItemError, UserError, WorldError
from omnisrc.models.released import HOST, SUFFIXES, Released, find_weights, released_named
from omnisrc.models.settings import ModelSettings
from omnisrc.shards.write import sync_folder
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import AGENT, Client, Patience
from omnisrc.web.download import Body, BodyLimits, read_body
from omnisrc.web.hosts import HostGate, Pace
from omnisrc.web.urls import WebUrl, parse_url

Report = Callable[[int, int | None], None]
"""Told how many bytes have come, and of how many where the server says."""

SHA256 = re.compile(r"[0-9a-f]{8,64}")
NAMED = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt|pyth)$")
DAY_S = 86400.0
REFUSALS = (ErrorClass.HTTP_4XX, ErrorClass.BAD_URL, ErrorClass.REFUSED_ADDRESS, ErrorClass.TOO_LARGE)


def silent(done: int, total: int | None) -> None:
    """No report."""


def weights_for(
    name: str, folder: Path, settings: ModelSettings, agreed: bool = False, report: Report = silent
) -> Path:
    """The file that `name` means (see `find_weights`); a released one that is lacking is fetched where that is agreed.

    Raises:
        UserError: there is none, and no leave to fetch it; the sentence says which command fetches it.
        WorldError: it cannot be fetched.
    """
    fetch_lacking(name, folder, settings, agreed, report)
    return find_weights(name, folder)


def fetch_lacking(
    name: str, folder: Path, settings: ModelSettings, agreed: bool = False, report: Report = silent
) -> None:
    """Fetches a released file that `name` means, where that is agreed and none of that name is in `folder`."""
    released = released_named(name)
    if released and (agreed or settings.download) and not any((folder / file.file).is_file() for file in released):
        fetch_released(released[0], folder, settings, report)


def fetch_released(file: Released, folder: Path, settings: ModelSettings, report: Report = silent) -> Path:
    """A file of the table; one that is there already is left as it is."""
    if (folder / file.file).is_file():
        return folder / file.file
    url = file.url
    if settings.mirror:
        url = f"{settings.mirror.rstrip('/')}/{url.removeprefix(HOST)}"
    return fetch(url, folder, settings, sha256=file.sha256, report=report)


def fetch(url: str, folder: Path, settings: ModelSettings, sha256: str = "", report: Report = silent) -> Path:
    """The file at `url`, under its own name in `folder`.

    `sha256` is the hash or its first digits (8 at least); a name such as `NAME-1a2b3c4d.pth` says the first 8 itself.
    Plain http is taken only with a hash of all 64 digits, or from the mirror of the settings.

    Raises:
        UserError: no hash, not https, another content than the hash says, refused by the server, too large.
        WorldError: no network, or one that fails.
    """
    target, name = _named(url)
    promised = _promised(url, name, sha256)
    mirrored = bool(settings.mirror) and url.startswith(settings.mirror)
    if target.url.scheme != "https" and len(promised) < 64 and not mirrored:
        raise UserError(f"{url} is plain http, which anybody on the way can change: give all 64 digits with --sha256.")
    if (folder / name).exists():
        raise UserError(f"There is {folder / name} already; remove it to fetch it again.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        body = asyncio.run(_download(target, folder, settings, report))
    except ItemError as error:
        raise _sentence(url, error, settings) from error
    part = body.source
    assert isinstance(part, Path), "everything goes to a file"
    try:
        if not body.sha256.startswith(promised):
            raise UserError(
                f"{url} has the SHA-256 {body.sha256[:16]}... and not {promised[:16]}...: it is another file, or "
                "was changed on the way; nothing was kept."
            )
        return publish(part, folder / name)
    finally:
        part.unlink(missing_ok=True)


def publish(part: Path, path: Path) -> Path:
    """Gives a finished file its name in one step, after its bytes are on the disk. Raises WorldError."""
    try:
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise WorldError(f"The weights file {path} could not be written: {error.strerror or error}.") from error
    return path


def _named(url: str) -> tuple[WebUrl, str]:
    try:
        target = parse_url(url)
    except ItemError as error:
        raise UserError(f"{url} is no address of a file ({error.detail}).") from error
    name = target.url.name
    if not name.endswith(SUFFIXES) or Path(name).name != name:
        raise UserError(f"{url} does not end with the name of a weights file ({', '.join(SUFFIXES)}).")
    return target, name


def _promised(url: str, name: str, sha256: str) -> str:
    """The hash, or its first digits, that the file must have."""
    given = sha256.lower()
    named = NAMED.search(name)
    if given and not SHA256.fullmatch(given):
        raise UserError(f"--sha256 {sha256} is no SHA-256: give 64 hexadecimal digits, or the first 8 or more.")
    if given and named and not given.startswith(named[1]) and not named[1].startswith(given):
        raise UserError(f"--sha256 {sha256[:16]} is not the {named[1]} in the name of {name}: check both.")
    if not given and not named:
        raise UserError(f"{url} says no hash in its name: give --sha256, so that no other file is taken for it.")
    return given or (named[1] if named else "")


async def _download(target: WebUrl, folder: Path, settings: ModelSettings, report: Report) -> Body:
    """The body as a temporary file in `folder`. The host that the user names may be private, others not."""
    done, total = 0, None

    def count(more: int) -> None:
        nonlocal done
        done += more
        report(done, total)

    limits = BodyLimits(
        settings.max_bytes, settings.min_speed, memory_bytes=0, folder=folder, prefix=".fetching-", count=count
    )
    allowed = AllowedHosts(frozenset({(target.host, target.port)}))
    patience = Patience(deadline_s=DAY_S)
    async with (
        Client(AGENT, HostGate(Pace(1)), allow=allowed, patience=patience) as client,
        client.get(str(target)) as answer,
    ):
        answer.raise_for_status()
        total = answer.response.content_length
        report(0, total)
        return await read_body(answer, limits)


def _sentence(url: str, error: ItemError, settings: ModelSettings) -> UserError | WorldError:
    if error.error is ErrorClass.TOO_LARGE:
        return UserError(f"{url} is too large ({error.detail}); raise models.max_bytes if that is right.")
    if error.error in REFUSALS:
        return UserError(f"{url} cannot be fetched ({error}); check the address.")
    return WorldError(
        f"{url} could not be fetched ({error}); try again, or fetch it where there is a network and give the file to "
        "`omnisrc models add FILE`."
    )
