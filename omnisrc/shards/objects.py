"""An object store through fsspec: whole objects are put, bytes are got, each request again and again with pauses.

Objects are written once under names that nobody else uses, so to put one again is harmless, and what was read of one is
never out of date.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from omnisrc.errors import ErrorClass, ItemError, UserError, WorldError
from omnisrc.shards.settings import StorageSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

BLOCK = 16 << 20  # bytes that one request reads
LONGEST_PAUSE_S = 20.0
CONNECT_S = 10.0
REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403"}


_OPENED: dict[int, Any] = {}
"""Every file system there ever was in this process and in those it was forked from. fsspec forgets its own in a child;
if one went, its connections would be closed there, which takes their sockets out of the epoll that the child shares
with its parent: the parent would wait in vain for its next answer."""


class StoreError(ItemError):
    """The store failed again and again: it may be better another time."""


class MissingObject(ItemError):
    """There is no such object, as a file may be missing."""


class ObjectStore:
    """Objects by URL. Every failure is ItemError(STORAGE), but for what only the user can mend (UserError): a package,
    a bucket, keys. May be used in threads and passed to other processes."""

    def __init__(self, settings: StorageSettings) -> None:
        self.settings = settings

    def put(self, file: Path, url: str) -> None:
        """Copies a file in one operation: the object is there whole, or not at all."""
        size = file.stat().st_size

        def once(store: Any) -> None:
            store.put_file(str(file), url)
            there = store.info(url)["size"]
            if there != size:
                raise OSError(f"{there} bytes arrived of {size}")

        self._tried(url, once)

    def write(self, url: str, data: bytes) -> None:
        """Puts a small object."""
        self._tried(url, lambda store: store.pipe_file(url, data))

    def size(self, url: str) -> int | None:
        """Bytes of an object; None where there is none."""

        def once(store: Any) -> int | None:
            try:
                return int(store.info(url)["size"])
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

        return self._tried(url, once)

    def read(self, url: str, offset: int, length: int) -> bytes:
        """A part of an object."""
        if length == 0:
            return b""

        def once(store: Any) -> bytes:
            data: bytes = store.cat_file(url, start=offset, end=offset + length)
            if len(data) != length:
                raise OSError(f"{len(data)} bytes came of {length} from byte {offset} on")
            return data

        return self._tried(url, once)

    def download(self, url: str, handle: int, size: int) -> None:
        """Writes an object of `size` bytes into an open file, from its beginning."""
        for offset in range(0, size, BLOCK):
            data = memoryview(self.read(url, offset, min(BLOCK, size - offset)))
            while data:
                written = os.pwrite(handle, data, offset)
                data, offset = data[written:], offset + written

    def delete(self, urls: Iterable[str]) -> None:
        """Removes objects; those that are gone already are no failure."""
        for url in urls:

            def once(store: Any, url: str = url) -> None:
                bucket, key, _ = store.split_path(url)
                store.call_s3("delete_object", Bucket=bucket, Key=key)

            self._tried(url, once)

    def list(self, folder: str) -> dict[str, int]:
        """URL -> bytes of all objects under a folder."""

        def once(store: Any) -> dict[str, int]:
            found = store.find(folder + "/", detail=True)
            return {f"s3://{name}": int(about["size"]) for name, about in found.items()}

        return self._tried(folder, once)

    def check(self, folder: str) -> None:
        """Asks whether a folder can be listed.

        Raises:
            UserError: s3fs is not installed, there is no such bucket, or the keys are wrong.
            WorldError: the store does not answer.
        """

        def once(store: Any) -> None:
            bucket, key, _ = store.split_path(folder)
            store.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/" if key else "", MaxKeys=1)

        try:
            self._tried(folder, once)
        except ItemError as error:
            where = self.settings.endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or "Amazon S3"
            raise WorldError(
                f"The object store at {where} does not answer for {folder} ({error.detail.partition(': ')[2]}); look at"
                " storage.endpoint_url and the network, and run the same command again."
            ) from error

    def _open(self) -> Any:
        """A file system for this thread and process (fsspec keeps them); its own retries are off, for ours know when to
        give up."""
        settings = self.settings
        client = {"region_name": settings.region} if settings.region else {}
        config = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": min(CONNECT_S, settings.timeout_s),
            "read_timeout": settings.timeout_s,
            "request_checksum_calculation": "when_required",  # stores that are not Amazon's refuse the newer ones
            "response_checksum_validation": "when_required",
        }
        try:
            store = fsspec.filesystem(
                "s3", endpoint_url=settings.endpoint_url or None, client_kwargs=client, config_kwargs=config,
                use_listings_cache=False, fixed_upload_size=True,
            )  # fmt: skip
        except ImportError as error:
            raise UserError(
                "Shards in an object store need the package s3fs; install it with `pip install 'omnisrc[s3]'`."
            ) from error
        store.retries = 1
        _OPENED[id(store)] = store
        return store

    def _tried(self, url: str, once: Callable[[Any], T]) -> T:
        settings = self.settings
        for attempt in range(settings.attempts):
            try:
                return once(self._open())
            except (UserError, ItemError):
                raise
            except Exception as error:
                self._give_up(url, error)
                said = _said(error)
                if attempt + 1 == settings.attempts:
                    raise StoreError(ErrorClass.STORAGE, f"{url}: {said}, {attempt + 1} times") from error
                log.warning("%s: %s; again", url, said)
                time.sleep(min(LONGEST_PAUSE_S, settings.pause_s * 2**attempt) * random.uniform(0.5, 1.0))
        raise AssertionError("there is at least one attempt")

    def _give_up(self, url: str, error: Exception) -> None:
        """Raises for what another try does not mend."""
        code, bucket = _code(error), url.split("/")[2]
        if code == "NoSuchBucket":
            raise UserError(
                f"There is no bucket {bucket}; make it, or name another by storage.shards (and see that"
                " storage.endpoint_url is the right store's)."
            ) from error
        if code in REFUSED or isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            raise UserError(
                f"The object store refuses the bucket {bucket} ({code or type(error).__name__}); check"
                " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, and what they may do."
            ) from error
        if isinstance(error, FileNotFoundError):
            raise MissingObject(ErrorClass.STORAGE, f"{url}: there is no such object") from error


def _response(error: BaseException | None) -> dict[str, Any]:
    """What the store answered, as boto has it; s3fs hides it in the cause."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict):
            return answer
        error = error.__cause__
    return {}


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _said(error: Exception) -> str:
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = _code(error)
    if status or code:
        return " ".join(str(word) for word in dict.fromkeys([status, code]) if word)
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(". ")
