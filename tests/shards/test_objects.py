"""Requests to an object store that fails: again with pauses, then one class of error; nothing is half there."""

from __future__ import annotations

import gc
import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import fsspec
import pytest

from omnisrc.errors import ErrorClass, ItemError, UserError, WorldError
from omnisrc.shards import objects as door
from omnisrc.shards.objects import ObjectStore
from omnisrc.shards.settings import StorageSettings
from tests.object_store import Bucket, Fault

DATA = os.urandom(300_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "built.tar"
    path.write_bytes(DATA)
    return path


def store_of(bucket: Bucket, **given) -> ObjectStore:
    return ObjectStore(StorageSettings(endpoint_url=bucket.endpoint, attempts=4, pause_s=0.01, **given))


@pytest.mark.parametrize("what", ["500", "503", "cut-request", "lost"])
def test_a_put_is_tried_again_until_the_object_is_whole(bucket: Bucket, file: Path, what: str) -> None:
    bucket.faults = [Fault("PUT", what, times=3)]
    store_of(bucket).put(file, f"{bucket.url}/a.tar")
    assert bucket.objects() == {"study/a.tar": DATA}
    assert bucket.count("PUT") == 4


@pytest.mark.parametrize("what", ["500", "503", "cut-request"])
def test_a_put_that_fails_again_and_again_leaves_nothing(bucket: Bucket, file: Path, what: str) -> None:
    bucket.faults = [Fault("PUT", what, times=99)]
    with pytest.raises(ItemError) as caught:
        store_of(bucket).put(file, f"{bucket.url}/a.tar")
    assert caught.value.error is ErrorClass.STORAGE and "4 times" in caught.value.detail
    assert bucket.objects() == {} and bucket.count("PUT") >= 4


def test_a_large_object_is_put_in_parts_and_is_there_whole_or_not_at_all(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None, max_parts=0: 5 << 20)
    path, data = tmp_path / "large.tar", os.urandom(11 << 20)
    path.write_bytes(data)
    bucket.faults = [Fault("PUT", "503", times=99, match="partNumber=2")]
    with pytest.raises(ItemError):
        store_of(bucket).put(path, f"{bucket.url}/large.tar")
    assert bucket.objects() == {}
    assert bucket.client().list_multipart_uploads(Bucket=bucket.name).get("Uploads", []) == []
    bucket.faults = [Fault("PUT", "cut-request", match="partNumber=2"), Fault("POST", "500", match="uploadId")]
    store_of(bucket).put(path, f"{bucket.url}/large.tar")
    assert bucket.objects() == {"study/large.tar": data}


@pytest.mark.parametrize("what", ["500", "503", "cut-answer", "lost"])
def test_a_get_is_tried_again_and_only_what_was_not_had(
    bucket: Bucket, file: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "BLOCK", 100_000)
    store, url = store_of(bucket), f"{bucket.url}/a.tar"
    store.put(file, url)
    bucket.faults = [Fault("GET", what), Fault("GET", what)]
    with (tmp_path / "got").open("wb") as got:
        store.download(url, got.fileno(), len(DATA))
    assert (tmp_path / "got").read_bytes() == DATA
    assert bucket.count("GET") == 5, "three blocks and two tries more"


def test_a_part_of_an_object_is_one_small_request(bucket: Bucket, file: Path) -> None:
    store = store_of(bucket)
    store.put(file, f"{bucket.url}/a.tar")
    assert store.read(f"{bucket.url}/a.tar", 1000, 50) == DATA[1000:1050]
    with pytest.raises(ItemError):
        store.read(f"{bucket.url}/a.tar", len(DATA) - 10, 50)
    with pytest.raises(ItemError, match="there is no such object"):
        store.read(f"{bucket.url}/b.tar", 0, 50)


def test_a_forked_process_leaves_its_parents_connection_alone(bucket: Bucket, file: Path) -> None:
    """A child that closed what it inherited would take the parent's sockets out of the parent's own epoll."""
    store, url = store_of(bucket, timeout_s=20.0), f"{bucket.url}/a.tar"
    store.put(file, url)

    async def collect() -> None:
        gc.collect()

    def child() -> None:
        store.size(url)
        fsspec.asyn.sync(fsspec.asyn.get_loop(), collect)  # where s3fs can close a session, and does
        store.size(url)

    forked = get_context("fork").Process(target=child)
    forked.start()
    forked.join()
    assert forked.exitcode == 0
    began = time.monotonic()
    assert store.size(url) == len(DATA)
    assert time.monotonic() - began < 10


def test_what_is_listed_and_deleted(bucket: Bucket, file: Path) -> None:
    store = store_of(bucket)
    store.put(file, f"{bucket.url}/landing/a.tar")
    store.put(file, f"{bucket.url}-of-another/landing/a.tar")
    assert store.list(f"{bucket.url}/landing") == {f"{bucket.url}/landing/a.tar": len(DATA)}
    assert store.list(f"{bucket.url}/curated") == {}
    store.delete([f"{bucket.url}/landing/a.tar", f"{bucket.url}/landing/a.tar"])
    assert store.size(f"{bucket.url}/landing/a.tar") is None and len(bucket.objects()) == 1


def test_what_only_the_user_can_mend_is_said_at_once_and_names_no_secret(bucket: Bucket, file: Path) -> None:
    store = store_of(bucket)
    with pytest.raises(UserError, match="There is no bucket shards-of-nobody; make it"):
        store.check("s3://shards-of-nobody/study")
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"):
        bucket.faults, bucket.requests = [Fault("PUT", f"403 {code}"), Fault("GET", f"403 {code}")], []
        for wrong in (lambda: store.put(file, f"{bucket.url}/a"), lambda: store.check(bucket.url)):
            with pytest.raises(UserError, match=rf"refuses the bucket .*{code}.*AWS_ACCESS_KEY_ID") as caught:
                wrong()
            assert "test-" not in str(caught.value)
        assert len(bucket.requests) == 2, "another try does not mend it"


def test_without_s3fs_it_says_how_to_get_it(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(bucket)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(UserError, match=r"need the package s3fs; install it with `pip install 'omnisrc\[s3\]'`"):
        store.check(bucket.url)


def test_a_store_that_does_not_answer_is_the_worlds_failure(bucket: Bucket, free_endpoint: str) -> None:
    store = ObjectStore(StorageSettings(endpoint_url=free_endpoint, attempts=2, pause_s=0.01))
    with pytest.raises(WorldError, match=r"at http://127.0.0.1:\d+ does not answer .*storage.endpoint_url"):
        store.check(bucket.url)


def test_without_keys_it_says_where_they_come_from(bucket: Bucket, tmp_path: Path, monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(UserError, match="AWS_ACCESS_KEY_ID"):
        store_of(bucket, region="eu-west-1").check(bucket.url)


@pytest.fixture
def free_endpoint() -> str:
    from tests.services import free_port

    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    "given",
    [
        {"shards": "s3://KEY:hunter2@bucket/x"}, {"shards": "s3://"}, {"shards": "/data"}, {"shards": "gs://bucket/x"},
        {"shards": "s3://bucket/../x"}, {"endpoint_url": "https://key:hunter2@host"}, {"cache_bytes": -1},
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused_without_repeating_a_secret(given: dict) -> None:
    with pytest.raises(ValueError) as caught:
        StorageSettings(**given)
    assert "hunter2" not in str(caught.value)
