import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.shards.read import read_index
from omnisrc.shards.write import ShardFile, ShardWriter, member_header


def write_three(folder: Path, name: str = "shard-0") -> ShardFile:
    with ShardWriter(folder, name) as writer:
        for number in range(3):
            writer.write(f"key-{number}", {"json": b"{}", "jpg": bytes([number]) * (500 + 12 * number)})
        return writer.close()


def test_the_same_samples_give_the_same_bytes_and_the_recorded_hash(tmp_path: Path) -> None:
    one, two = write_three(tmp_path / "a"), write_three(tmp_path / "b")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.sha256 == hashlib.sha256(one.path.read_bytes()).hexdigest()
    assert one.bytes == one.path.stat().st_size
    assert (one.count, one.name, one.path.name) == (3, "shard-0", "shard-0.tar")


def test_only_the_tar_and_its_index_remain(tmp_path: Path) -> None:
    shard = write_three(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shard-0.idx", "shard-0.tar"]
    assert read_index(shard.path) == list(shard.members)


def test_members_lie_where_the_index_says_by_the_tar_modules_own_reading(tmp_path: Path) -> None:
    shard = write_three(tmp_path)
    with tarfile.open(shard.path) as tar:
        theirs = [(info.name, info.offset_data, info.size, info.mtime) for info in tar]
    assert theirs == [(f"{m.key}.{m.ext}", m.offset, m.length, 0) for m in shard.members]


def test_webdataset_streams_the_shard(tmp_path: Path) -> None:
    import webdataset

    shard = write_three(tmp_path)
    samples = list(webdataset.WebDataset(str(shard.path), shardshuffle=False))
    assert [s["__key__"] for s in samples] == ["key-0", "key-1", "key-2"]
    assert samples[2]["jpg"] == b"\x02" * 524 and samples[2]["json"] == b"{}"


@pytest.mark.parametrize("key", ["a.b", "A", "", "a b", "ä", "a/b", "x" * 81])
def test_a_key_that_readers_would_misread_is_refused(tmp_path: Path, key: str) -> None:
    with ShardWriter(tmp_path, "s") as writer, pytest.raises(ValueError, match="key"):
        writer.write(key, {"jpg": b"1"})


def test_a_key_that_occurs_twice_and_unequal_fields_are_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "s") as writer:
        writer.write("a", {"jpg": b"1"})
        with pytest.raises(ValueError, match="twice"):
            writer.write("a", {"jpg": b"1"})
        with pytest.raises(ValueError, match="fields"):
            writer.write("b", {"jpg": b"1", "json": b"{}"})
        with pytest.raises(ValueError, match="fields"):
            writer.write("c", {".jpg": b"1"})
        assert writer.count == 1


def test_leaving_without_close_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ShardWriter(tmp_path, "s") as writer:
        writer.write("a", {"jpg": b"1" * 3_000_000})
        raise KeyError
    assert list(tmp_path.iterdir()) == []


FILL = """
import resource, sys
from pathlib import Path
from omnisrc.errors import ItemError
from omnisrc.shards.write import ShardWriter
folder, limit, samples = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
writer = ShardWriter(folder, "full")
try:
    for number in range(samples):
        writer.write(f"k{number}", {"jpg": bytes(300_000)})
    writer.close()
except ItemError as error:
    print(error.error, [p.name for p in folder.iterdir()])
"""


@pytest.mark.parametrize(
    ("limit", "samples"),
    [
        pytest.param(2_000_000, 10, id="while-writing"),
        pytest.param(500_000, 2, id="while-flushing-in-close"),
    ],
)
def test_a_disk_that_fills_is_a_storage_error_and_leaves_nothing(tmp_path: Path, limit: int, samples: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path), str(limit), str(samples)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "storage []", done.stderr


def test_a_device_without_space_is_a_storage_error_too(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "full")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._opened().fileno())
    os.close(full)
    with pytest.raises(ItemError) as caught:
        writer.write("a", {"jpg": bytes(3 << 20)})
    assert caught.value.error is ErrorClass.STORAGE
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ItemError) as caught:
        ShardWriter(tmp_path / "file", "s")
    assert caught.value.error is ErrorClass.STORAGE


@given(
    name=st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.", min_size=1, max_size=100),
    length=st.integers(0, 8**11 - 1),
)
def test_a_members_header_is_that_of_the_tar_module(name: str, length: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = length, 0o644, 0
    assert member_header(name, length) == info.tobuf(tarfile.USTAR_FORMAT)


def test_a_name_that_no_header_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        member_header("k" * 101, 1)
