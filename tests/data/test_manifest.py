import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omnisrc.data.manifest import SCHEMA, manifest_of, read_manifest, write_manifest
from omnisrc.errors import UserError

COLUMNS = {
    "sample": [5, 6, 7],
    "source": ["target", "web-image", "target"],
    "split": ["train", "train", "val"],
    "label": [0, 1, 1],
    "path": ["target/a.tar", "curated/ü b.tar", "/data/with spaces, and commas.mp4"],
}


def make(**changes):
    return manifest_of({**COLUMNS, **changes}, ("dive", "jump"), "toy", "ab" * 32, {"selection": "main"})


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    manifest = make(weight=[1.0, 0.5, 1.0], length=[10, 20, -1])
    write_manifest(manifest, tmp_path / "m.parquet")
    back = read_manifest(tmp_path / "m.parquet")
    assert back.table.equals(manifest.table)
    assert (back.classes, back.class_list, back.class_list_sha256) == (("dive", "jump"), "toy", "ab" * 32)
    assert back.facts == {"selection": "main"}
    assert back.sha256 == manifest.sha256
    assert pq.read_schema(tmp_path / "m.parquet").names == SCHEMA.names
    assert not list(tmp_path.glob("*.part"))


def test_rows_are_chosen_by_source_and_split():
    manifest = make()
    assert manifest.sources == ("target", "web-image")
    assert manifest.rows(source="target").column("sample").tolist() == [5, 7]
    assert manifest.rows(source="target", split="val").column("label").tolist() == [1]
    assert len(manifest.rows(source="web-clip")) == 0


def test_the_hash_knows_every_column_and_no_chunks():
    manifest = make()
    chunked = pa.concat_tables([manifest.table.slice(0, 1), manifest.table.slice(1)])
    assert type(manifest)(chunked, manifest.classes, "other name", manifest.class_list_sha256).sha256 == manifest.sha256
    changes = [
        {"label": [1, 1, 1]}, {"path": ["a", "b", "c"]}, {"weight": [1.0, 1.0, 0.9]}, {"key": ["a", "", ""]},
        {"path": ["target/a.tarcurated/ü b.tar", "", "/data/with spaces, and commas.mp4"]}, {"end": [1.0, 0.0, 0.0]},
    ]  # fmt: skip
    assert len({manifest.sha256, *(make(**change).sha256 for change in changes)}) == 1 + len(changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label": [0, 2, 1]}, "labels 0 to 2.*2 classes"),
        ({"label": [0, -1, 1]}, "labels -1"),
        ({"source": ["target", "web", "target"]}, "source 'web'"),
        ({"split": ["train", "train", "valid"]}, "split 'valid'"),
    ],
)
def test_rows_that_fit_no_class_or_source_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make(**changes)


def test_files_that_are_no_manifest_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "text.parquet")
    pq.write_table(pa.table({"sample": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match="not a manifest"):
        read_manifest(tmp_path / "other.parquet")
