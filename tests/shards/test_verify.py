import io
import tarfile
from pathlib import Path

import pytest

from omnisrc.shards.verify import verify_shard
from omnisrc.shards.write import BLOCK, ShardFile, ShardWriter, index_path


@pytest.fixture
def shard(tmp_path: Path) -> ShardFile:
    with ShardWriter(tmp_path, "s") as writer:
        for number in range(4):
            writer.write(f"k{number}", {"jpg": b"x" * 700, "json": b"{}"})
        return writer.close()


def test_a_sound_shard_has_no_problems(shard: ShardFile) -> None:
    assert verify_shard(shard.path, count=4, bytes=shard.bytes, sha256=shard.sha256) == []


@pytest.mark.parametrize("members", [0, 1, 4, 7, 8])
def test_a_cut_exactly_between_two_members_is_found_without_the_catalogue(shard: ShardFile, members: int) -> None:
    cut = shard.members[members].offset - BLOCK if members < 8 else shard.bytes - 2 * BLOCK
    shard.path.write_bytes(shard.path.read_bytes()[:cut])
    assert any("cut off" in p or "not a tar" in p for p in verify_shard(shard.path))


def test_a_cut_that_was_closed_again_disagrees_with_the_index_and_the_count(shard: ShardFile) -> None:
    cut = shard.members[4].offset - BLOCK
    shard.path.write_bytes(shard.path.read_bytes()[:cut] + bytes(2 * BLOCK))
    assert len(verify_shard(shard.path)) == 1
    assert len(verify_shard(shard.path, count=4, bytes=shard.bytes, sha256=shard.sha256)) == 4


@pytest.mark.parametrize("cut", [1, 100, 512, 600, 1300, 3000])
def test_a_cut_anywhere_is_found(shard: ShardFile, cut: int) -> None:
    shard.path.write_bytes(shard.path.read_bytes()[:-cut])
    assert verify_shard(shard.path) != [] or cut <= 0
    assert verify_shard(shard.path, bytes=shard.bytes) != []


def test_a_changed_byte_is_found_by_the_hash(shard: ShardFile) -> None:
    data = bytearray(shard.path.read_bytes())
    data[shard.members[2].offset + 3] ^= 1
    shard.path.write_bytes(data)
    assert verify_shard(shard.path) == []
    assert len(verify_shard(shard.path, sha256=shard.sha256)) == 1


def test_a_missing_tar_or_index_is_found(shard: ShardFile) -> None:
    index_path(shard.path).unlink()
    assert len(verify_shard(shard.path)) == 1
    shard.path.unlink()
    assert verify_shard(shard.path) == ["s.tar is missing"]


def test_torn_samples_and_unequal_fields_of_a_foreign_tar_are_found(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a.jpg", "b.jpg", "a.json"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    problems = " ".join(verify_shard(path))
    assert "not adjacent" in problems and "different fields" in problems
