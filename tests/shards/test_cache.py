"""Objects on the local disk: downloaded once whoever asks, bounded, and never taken away from who reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.shards.settings import StorageSettings
from omnisrc.shards.store import ShardStore
from tests.object_store import Bucket, Fault

ROOT = Path(__file__).resolve().parents[2]
SIZE = 40_000


@pytest.fixture
def filled(bucket: Bucket, tmp_path: Path) -> ShardStore:
    """A store with three objects a, b, c and a cache that holds two of them."""
    settings = StorageSettings(endpoint_url=bucket.endpoint, cache_bytes=2 * SIZE + 10, attempts=3, pause_s=0.01)
    store = ShardStore(tmp_path, settings)
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * SIZE)
        store.objects.put(tmp_path / name, f"{bucket.url}/landing/{name}.tar")
    bucket.requests.clear()
    return store


def read(store: ShardStore, bucket: Bucket, name: str) -> bytes:
    with store.holding(f"{bucket.url}/landing/{name}.tar") as path:
        return path.read_bytes()


def cached(store: ShardStore) -> set[str]:
    return {path.name.removesuffix(".tar") for path in store.cache.folder.glob("*/*")}


def test_what_was_unused_for_longest_goes_first(filled: ShardStore, bucket: Bucket) -> None:
    for at, name in enumerate("ab"):
        assert read(filled, bucket, name) == name.encode() * SIZE
        os.utime(filled.cache.path_of(f"{bucket.url}/landing/{name}.tar"), (at, at))
    assert read(filled, bucket, "a") and bucket.count("GET") == 2, "once each"
    assert read(filled, bucket, "c") and cached(filled) == {"a", "c"}


def test_what_is_held_stays_though_the_cache_is_full(filled: ShardStore, bucket: Bucket) -> None:
    with ExitStack() as held:
        paths = [held.enter_context(filled.holding(f"{bucket.url}/landing/{name}.tar")) for name in "abc"]
        assert [path.read_bytes()[:1] for path in paths] == [b"a", b"b", b"c"]
    (filled.root / "d").write_bytes(b"d" * SIZE)
    filled.objects.put(filled.root / "d", f"{bucket.url}/landing/d.tar")
    assert read(filled, bucket, "d") and len(cached(filled)) == 2 and "d" in cached(filled)


def test_a_download_that_fails_leaves_nothing_and_one_that_died_is_cleared_away(
    filled: ShardStore, bucket: Bucket
) -> None:
    bucket.faults = [Fault("GET", "cut-answer", times=3)]
    with pytest.raises(ItemError) as caught:
        read(filled, bucket, "a")
    assert caught.value.error is ErrorClass.STORAGE and cached(filled) == set()
    dead = filled.cache.path_of(f"{bucket.url}/landing/b.tar.part")
    dead.write_bytes(b"x" * SIZE)
    assert read(filled, bucket, "a") == b"a" * SIZE and cached(filled) == {"a"}
    with pytest.raises(FileNotFoundError):
        read(filled, bucket, "z")


READER = """
import sys
from pathlib import Path
from omnisrc.shards.settings import StorageSettings
from omnisrc.shards.store import ShardStore
root, endpoint, *urls = sys.argv[1:]
store = ShardStore(Path(root), StorageSettings(endpoint_url=endpoint))
sys.stdin.read(1)
for url in urls:
    with store.holding(url) as path:
        print(path.stat().st_size, flush=True)
"""


def test_processes_that_want_the_same_at_once_download_it_once(
    filled: ShardStore, bucket: Bucket, tmp_path: Path
) -> None:
    urls = [f"{bucket.url}/landing/{name}.tar" for name in "abc"]
    command = [sys.executable, "-c", READER, str(tmp_path), bucket.endpoint, *urls]
    readers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for reader in readers:
        assert reader.stdin is not None
        reader.stdin.write("go")
        reader.stdin.flush()
    answers = [reader.communicate()[0].split() for reader in readers]
    assert answers == [[str(SIZE)] * 3] * 3
    assert {name: bucket.count("GET", f"{name}.tar") for name in "abc"} == {"a": 1, "b": 1, "c": 1}


def test_one_sample_is_read_without_the_rest(filled: ShardStore, bucket: Bucket) -> None:
    assert filled.read(f"{bucket.url}/landing/b.tar", 10, 5) == b"bbbbb"
    assert cached(filled) == set() and bucket.count("GET") == 1
    read(filled, bucket, "b")
    assert filled.read(f"{bucket.url}/landing/b.tar", 10, 5) == b"bbbbb" and bucket.count("GET") == 2


def test_what_was_built_here_need_not_be_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    store = ShardStore(tmp_path, StorageSettings(shards=bucket.url, endpoint_url=bucket.endpoint))
    built = tmp_path / "landing" / "new.tar"
    built.parent.mkdir()
    built.write_bytes(b"n" * SIZE)
    store.put([built])
    assert store.place_of(built) == f"{bucket.url}/landing/new.tar" and built.exists()
    store.settle([built])
    assert not built.exists() and read(store, bucket, "new") == b"n" * SIZE and bucket.count("GET") == 0
    store.delete([f"{bucket.url}/landing/new.tar"])
    assert bucket.objects() == {} and cached(store) == set()
