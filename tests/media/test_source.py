import os
from pathlib import Path

import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.source import MediaRef, open_source, read_head, read_source, source_size


def test_bytes_files_and_parts_of_files_read_alike(tmp_path: Path) -> None:
    data = os.urandom(5000)
    (tmp_path / "whole").write_bytes(data)
    (tmp_path / "shard").write_bytes(b"a" * 77 + data + b"b" * 900)
    for source in (data, tmp_path / "whole", MediaRef(str(tmp_path / "shard"), 77, 5000)):
        assert source_size(source) == 5000
        assert read_source(source) == data
        assert read_source(source, 10) == data[:10]
        assert read_head(source) == data[:512]
        with open_source(source) as file:
            assert (file.read(3), file.tell()) == (data[:3], 3)
            assert file.seek(-4, os.SEEK_END) == 4996
            assert file.read() == data[-4:] and file.read(5) == b""
            assert file.seek(2, os.SEEK_SET) == 2 and file.seek(3, os.SEEK_CUR) == 5
            assert file.read(2) == data[5:7]


def test_a_missing_or_short_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"12345")
    for source in (tmp_path / "none", MediaRef(str(tmp_path / "none"), 0, 5), MediaRef(str(tmp_path / "short"), 2, 9)):
        with pytest.raises(ItemError) as caught:
            read_source(source)
        assert caught.value.error is ErrorClass.STORAGE
