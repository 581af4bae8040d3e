import pickle
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.shards.read import ShardReader, read_bytes, read_index, scan_members
from omnisrc.shards.verify import verify_shard
from omnisrc.shards.write import ShardWriter

KEYS = st.text("abcxyz019_-", min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.dictionaries(KEYS, st.tuples(st.binary(max_size=1500), st.binary(max_size=600)), max_size=6))
def test_what_is_written_is_read_back_in_order(tmp_path: Path, samples: dict[str, tuple[bytes, bytes]]) -> None:
    with ShardWriter(tmp_path, "s") as writer:
        for key, (jpg, json) in samples.items():
            writer.write(key, {"jpg": jpg, "json": json})
        shard = writer.close()
    want = [(key, {"jpg": jpg, "json": json}) for key, (jpg, json) in samples.items()]
    reader = ShardReader(shard.path)
    assert list(reader) == want
    assert [(key, reader.get(key)) for key in samples] == want
    assert [read_bytes(shard.path, m.offset, m.length) for m in shard.members] == [
        fields[ext] for _, fields in want for ext in ("jpg", "json")
    ]
    assert scan_members(shard.path) == read_index(shard.path)
    assert verify_shard(shard.path, count=len(samples), bytes=shard.bytes, sha256=shard.sha256) == []


def test_a_shard_from_elsewhere_without_an_index_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.b.txt").write_bytes(b"hello")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "a.b.txt", "dir/a.B.txt")
    assert list(ShardReader(tmp_path / "x.tar")) == [("dir/a", {"b.txt": b"hello"})]


def test_a_reader_can_be_sent_to_another_process(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "s") as writer:
        writer.write("a", {"jpg": b"1"})
        shard = writer.close()
    reader = ShardReader(shard.path)
    assert list(reader)
    assert list(pickle.loads(pickle.dumps(reader))) == [("a", {"jpg": b"1"})]


def test_a_short_or_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path / "x", 1, 4) == b"2345"
    for path, length in ((tmp_path / "x", 5), (tmp_path / "y", 1)):
        with pytest.raises(ItemError) as caught:
            read_bytes(path, 1, length)
        assert caught.value.error is ErrorClass.STORAGE


def test_a_garbled_index_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "x.idx").write_text("one\ttwo\n")
    with pytest.raises(ItemError) as caught:
        read_index(tmp_path / "x.tar")
    assert caught.value.error is ErrorClass.STORAGE
