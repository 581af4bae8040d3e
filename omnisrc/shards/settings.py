"""Where new shards go, and what is kept here of those that lie in an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 300  # characters of the URL; a row's path holds it and a shard's name
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*")
ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._/-]*)?")


def check_url(url: str) -> str:
    """A folder of an object store without a slash at its end. `ValueError` says what is wrong, never the text itself:
    somebody may have put a key into it."""
    url = url.rstrip("/")
    folders = url.split("/")[3:]
    if not BUCKET.fullmatch(url) or len(url) > LONGEST or {".", ".."} & set(folders):
        raise ValueError(
            "an object store is named as s3://BUCKET or s3://BUCKET/FOLDER, without keys (those come from the"
            " environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
        )
    return url


@dataclass(frozen=True)
class StorageSettings:
    """Keys are no settings: they come from the environment or the files that boto reads."""

    shards: str = ""  # s3://bucket/folder for new shards; empty: the workspace's folders
    endpoint_url: str = ""  # of an object store that is not Amazon's; empty: AWS_ENDPOINT_URL, else Amazon's
    region: str = ""  # empty: AWS_DEFAULT_REGION, else as the store answers
    cache_dir: str = ""  # folder on a local disk for shards that were downloaded; empty: cache/shards in the workspace
    cache_bytes: int = 50 << 30  # bound of that folder; what is in use just then is never removed
    attempts: int = 6  # tries of one request before the job fails with the class `storage`
    pause_s: float = 0.5  # before the second try; doubled each time, with jitter
    timeout_s: float = 60.0  # without a byte

    def __post_init__(self) -> None:
        if self.shards:
            object.__setattr__(self, "shards", check_url(self.shards))
        if self.endpoint_url and not ENDPOINT.fullmatch(self.endpoint_url):
            raise ValueError("endpoint_url is a URL such as https://minio.example:9000, without keys")
        if self.cache_bytes < 0:
            raise ValueError("cache_bytes must not be negative")
        if self.attempts < 1 or self.pause_s < 0 or self.timeout_s <= 0:
            raise ValueError("attempts and timeout_s must be more than 0, pause_s not negative")
