"""Fetches weights into a workspace's models/: whole and with the hash that was promised, or not at all.

An attempt that breaks off is gone on with by the next one (see `partial`).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from omnisrc.errors import ErrorClass, ItemError, UserError, WorldError
from omnisrc.models.partial import Partial, partial_of, pour
from omnisrc.models.released import HOST, SUFFIXES, Released, find_weights, released_named
from omnisrc.models.settings import ModelSettings
from omnisrc.shards.verify import file_sha256
from omnisrc.shards.write import sync_folder
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import AGENT, Client, Patience
from omnisrc.web.hosts import HostGate, Pace
from omnisrc.web.urls import WebUrl, parse_url

Report = Callable[[int, int | None], None]
"""Told how many bytes have come, and of how many where the server says."""

SHA256 = re.compile(r"[0-9a-f]{8,64}")
NAMED = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt|pyth)$")
DAY_S = 86400.0
BROKEN = (ErrorClass.TRUNCATED, ErrorClass.TIMEOUT, ErrorClass.CONNECT)
REFUSALS = (ErrorClass.HTTP_4XX, ErrorClass.BAD_URL, ErrorClass.REFUSED_ADDRESS, ErrorClass.TOO_LARGE)


def silent(done: int, total: int | None) -> None:
    """No report."""


def weights_for(
    name: str,
    folder: Path,
    settings: ModelSettings,
    agreed: bool = False,
    report: Report = silent,
    runs: Path | None = None,
) -> Path:
    """The file that `name` means (see `find_weights`). A URL's is fetched where it is lacking, for it was asked for; a
    released one where that is agreed.

    Raises:
        UserError: there is none, and no leave to fetch it; the sentence says which command fetches it.
        WorldError: it cannot be fetched.
    """
    fetch_lacking(name, folder, settings, agreed, report, runs)
    return find_weights(name, folder, runs)


def fetch_lacking(
    name: str,
    folder: Path,
    settings: ModelSettings,
    agreed: bool = False,
    report: Report = silent,
    runs: Path | None = None,
) -> None:
    """Fetches what `weights_for` would, where it lacks; nothing for other names."""
    released = released_named(name) if agreed or settings.download else []
    if not released and "://" not in name:
        return
    try:
        find_weights(name, folder, runs)
    except UserError:
        if released:
            fetch_released(released[0], folder, settings, report)
        else:
            fetch(name, folder, settings, report=report)


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
    Plain http is taken only with a hash of all 64 digits, or from the mirror of the settings. A file that is there
    already, by an earlier call or another process, is not asked for again.

    Raises:
        UserError: no hash, not https, another content than the hash says, refused by the server, too large; another
            file of this name is there.
        WorldError: no network, or one that fails.
    """
    target, name = _named(url)
    promised = _promised(url, name, sha256)
    mirrored = bool(settings.mirror) and url.startswith(settings.mirror)
    if target.url.scheme != "https" and len(promised) < 64 and not mirrored:
        raise UserError(f"{url} is plain http, which anybody on the way can change: give all 64 digits with --sha256.")
    goal = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial_of(url, goal) as partial:
            if partial is None:
                return _kept(goal, promised)
            _complete(target, partial, promised, settings, report)
            return publish(partial.path, goal)
    except ItemError as error:
        raise _sentence(url, error, settings) from error
    except OSError as error:
        raise WorldError(f"The weights file {goal} could not be written: {error.strerror or error}.") from error


def place_of(url: str, folder: Path) -> Path:
    """Where `fetch` puts the file at `url`. Raises UserError for an address of no weights file."""
    return folder / _named(url)[1]


def _kept(path: Path, promised: str) -> Path:
    """A file that is there already, if it is the one that was promised."""
    found = file_sha256(path)
    if not found.startswith(promised):
        raise UserError(
            f"There is another {path} already, of the SHA-256 {found[:16]}... and not {promised[:16]}...: remove it "
            "first."
        )
    return path


def _complete(target: WebUrl, partial: Partial, promised: str, settings: ModelSettings, report: Report) -> None:
    """Brings a part to its end and checks the whole; what was gone on with and is another content, once from its start.

    Raises ItemError, and UserError for another content than was promised.
    """
    begun = partial.size
    while True:
        _go_on(target, partial, settings, report)
        sha256 = partial.sha256()
        if sha256.startswith(promised):
            return
        partial.clear()
        if not begun:
            raise UserError(
                f"{target} has the SHA-256 {sha256[:16]}... and not {promised[:16]}...: it is another file, or was "
                "changed on the way; nothing was kept."
            )
        begun = 0


def _go_on(target: WebUrl, partial: Partial, settings: ModelSettings, report: Report) -> None:
    """Asks for what is lacking until it is there, as long as a broken connection has brought more than the last.

    A part that the server no longer has is begun again.
    """
    most = partial.size
    while not partial.whole:
        resumed = partial.kept
        try:
            asyncio.run(_download(target, partial, settings, report))
            return
        except ItemError as error:
            if error.error not in BROKEN or (partial.size <= most and not (resumed and not partial.size)):
                raise
            most = partial.size


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
        raise UserError(
            f"{url} says no hash in its name: give it with `omnisrc models add {url} --sha256 HEX`, so that no other "
            "file is taken for it."
        )
    return given or (named[1] if named else "")


async def _download(target: WebUrl, partial: Partial, settings: ModelSettings, report: Report) -> None:
    """The rest of a part. The host that the user names may be private, others not."""
    allowed = AllowedHosts(frozenset({(target.host, target.port)}))
    patience = Patience(deadline_s=DAY_S)
    async with (
        Client(AGENT, HostGate(Pace(1)), allow=allowed, patience=patience) as client,
        client.get(str(target), headers=partial.wish()) as answer,
    ):
        if answer.status == 416:
            partial.clear()  # there is less than came: it is another file
            raise ItemError(ErrorClass.TRUNCATED, "the file is another now", http_status=416)
        if answer.status != 206:
            answer.raise_for_status()
        total = partial.begin(answer)
        if (total or 0) > settings.max_bytes:
            raise ItemError(ErrorClass.TOO_LARGE, f"{total} bytes, the limit is {settings.max_bytes}")
        report(partial.size, total)
        await pour(answer, partial, settings.max_bytes, settings.min_speed, lambda: report(partial.size, total))
        if total is not None and partial.size < total:
            raise ItemError(ErrorClass.TRUNCATED, f"{partial.size} of {total} bytes", http_status=answer.status)
        if not partial.size:
            raise ItemError(ErrorClass.EMPTY, "no bytes")


def _sentence(url: str, error: ItemError, settings: ModelSettings) -> UserError | WorldError:
    if error.error is ErrorClass.TOO_LARGE:
        return UserError(f"{url} is too large ({error.detail}); raise models.max_bytes if that is right.")
    if error.error in REFUSALS:
        return UserError(f"{url} cannot be fetched ({error}); check the address.")
    return WorldError(
        f"{url} could not be fetched ({error}); try again, or fetch it where there is a network and give the file to "
        "`omnisrc models add FILE`; what has come is kept where the server lets one go on from it."
    )
