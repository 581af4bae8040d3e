import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnisrc.classes import class_list_of
from omnisrc.data.importers.formats import read_target
from omnisrc.errors import UserError
from tests.data.importers.mini import touch

CLASSES = class_list_of(["brush hair", "handstand pushups", "jump"], "mine")


def videos(folder, *names):
    for name in names:
        touch(folder / name)


def read(path, **options):
    return read_target("csv", path, class_list=CLASSES, **options)


def test_one_file_with_groups_and_splits(tmp_path):
    videos(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = touch(
        tmp_path / "t.csv",
        "path,label,group,split\na.mp4,jump,g1,train\nb.mp4,jump,g2,Validation\nc.mp4,jump,g3,test\n",
    )
    listing = read(path)
    assert [(r.path.name, r.label, r.index, r.group, r.split) for r in listing.items] == [
        ("a.mp4", "jump", 2, "g1", "train"),
        ("b.mp4", "jump", 2, "g2", "val"),
        ("c.mp4", "jump", 2, "g3", "test"),
    ]
    assert listing.problems == []
    assert all(row.path.is_absolute() for row in listing.items)


def test_several_files_one_for_each_split(tmp_path):
    videos(tmp_path / "media", "a.mp4", "b.mp4")
    train = touch(tmp_path / "lists" / "1.csv", "path,label\na.mp4,jump\n")
    test = touch(tmp_path / "lists" / "2.csv", "path,label\nb.mp4,jump\n")
    listing = read(tmp_path / "media", lists={"train": train, "test": test})
    assert [(r.path.name, r.split) for r in listing.items] == [("a.mp4", "train"), ("b.mp4", "test")]
    assert listing.by_split == {"train": 1, "test": 1}


def test_a_folder_with_train_csv_and_test_csv_needs_no_names(tmp_path):
    videos(tmp_path, "v/a.mp4", "v/b.mp4")
    touch(tmp_path / "train.csv", "path,label\nv/a.mp4,jump\n")
    touch(tmp_path / "test.csv", "path,label\nv/b.mp4,jump\n")
    assert read(tmp_path).by_split == {"train": 1, "test": 1}


def test_everything_that_real_lists_get_wrong_is_counted_by_name(tmp_path):
    videos(tmp_path, "a b.mp4", "c, d.mp4", "e,f.mp4", "twice.mp4", "two.mp4", "both.mp4", "hs.mp4", "-x'y\".mp4")
    (tmp_path / "empty.mp4").touch()
    rows = [
        "a b.mp4,Brush_Hair,,",  # fine: a space in the path, another spelling
        '"c, d.mp4",jump,,',  # fine: a comma in quotes
        "e,f.mp4,jump,g,train",  # fine: a comma without quotes
        "hs.mp4,HandStandPushups,,",  # fine: CamelCase
        '"-x\'y"".mp4",  jump ,,',  # fine: quotes in the path, blanks round the label
        "twice.mp4,jump,,train",
        "twice.mp4,jump,,train",
        "two.mp4,jump,,train",
        "two.mp4,brush hair,,train",
        "both.mp4,jump,,train",
        "both.mp4,jump,,test",
        "gone.mp4,jump,,",
        ".,jump,,",
        "empty.mp4,jump,,",
        "a b.mp4,jmup,,",
        "a b.mp4,,,",
        "",
        ",,,",
        ",jump,,",
        "alone.mp4",
        '"unclosed.mp4,jump,,',
        "a b.mp4,jump,,holdout",
    ]
    path = touch(tmp_path / "t.csv", "\ufeffPath,Label,Group,Split\r\n" + "".join(f"{row}\r\n" for row in rows))
    listing = read(path)
    assert listing.counts() == {
        "missing-file": 2,
        "bad-row": 3,
        "empty-row": 2,
        "duplicate-row": 1,
        "two-labels": 1,
        "two-splits": 1,
        "empty-file": 1,
        "unknown-label": 1,
        "no-label": 1,
        "unknown-split": 1,
    }
    assert len(listing.items) + len(listing.problems) == len(rows)
    assert {row.path.name: row.label for row in listing.items} == {
        "a b.mp4": "brush hair", "c, d.mp4": "jump", "e,f.mp4": "jump", "hs.mp4": "handstand pushups",
        "-x'y\".mp4": "jump", "twice.mp4": "jump", "two.mp4": "jump", "both.mp4": "jump",
    }  # fmt: skip
    unknown = next(p for p in listing.problems if p.what == "unknown-label")
    assert unknown.row == "t.csv:16"
    assert "did you mean 'jump'" in unknown.detail


def test_a_file_in_train_and_test_stays_in_test(tmp_path):
    videos(tmp_path, "a.mp4")
    path = touch(tmp_path / "t.csv", "path,label,split\na.mp4,jump,train\na.mp4,jump,test\n./a.mp4,jump,val\n")
    listing = read(path)
    assert [row.split for row in listing.items] == ["test"]
    assert listing.counts() == {"two-splits": 2}


def test_parts_of_a_file_are_items_of_their_own(tmp_path):
    videos(tmp_path, "a.mp4")
    path = touch(
        tmp_path / "t.csv",
        "path,label,start,end\na.mp4,jump,0,2.5\na.mp4,brush hair,2.5,4\n"
        "a.mp4,jump,4,4\na.mp4,jump,x,1\na.mp4,jump,3,\n",
    )
    listing = read(path)
    assert [(row.start, row.end) for row in listing.items] == [(0.0, 2.5), (2.5, 4.0)]
    assert listing.counts() == {"bad-time": 3}


def test_groups_are_told_from_file_names_where_no_column_gives_them(tmp_path):
    names = ["v_YoYo_g03_c01.avi", "v_YoYo_g03_c02.avi", "Juno_jump_f_cm_np1_ri_med_3.avi", "plain.mp4"]
    videos(tmp_path, *names)
    listing = read(touch(tmp_path / "t.csv", "path,label\n" + "".join(f"{name},jump\n" for name in names)))
    assert [row.group for row in listing.items] == ["jump/g03", "jump/g03", "jump/Juno_jump", "jump/plain"]


def test_whole_numbers_are_indices_from_0_unless_a_class_has_that_name(tmp_path):
    videos(tmp_path, "a.mp4", "b.mp4")
    path = touch(tmp_path / "t.csv", "path,label\na.mp4,1\nb.mp4,3\n")
    listing = read(path)
    assert [row.label for row in listing.items] == ["handstand pushups"]
    assert listing.counts() == {"unknown-label": 1}


def test_without_a_class_list_the_labels_make_one(tmp_path):
    videos(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = touch(tmp_path / "mine.csv", "path,label\na.mp4,b_b\nb.mp4,a\nc.mp4,B B\n")
    listing = read_target("csv", path)
    assert (listing.class_list.name, listing.class_list.names) == ("mine", ("a", "b_b"))
    assert [row.index for row in listing.items] == [1, 0, 1]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_tabs_and_semicolons_are_understood(tmp_path, delimiter):
    videos(tmp_path, "a, b.mp4")
    path = touch(
        tmp_path / "t.csv", delimiter.join(["label", "path"]) + "\n" + delimiter.join(["jump", "a, b.mp4"]) + "\n"
    )
    assert [row.path.name for row in read(path).items] == ["a, b.mp4"]


def test_utf16_and_bytes_that_are_no_utf8(tmp_path):
    videos(tmp_path, "ä.mp4")
    wide = touch(tmp_path / "wide.csv", "path,label\r\nä.mp4,jump\r\n".encode("utf-16"))
    assert len(read(wide).items) == 1
    latin = touch(tmp_path / "latin.csv", "path,label\nä.mp4,jump\n".encode("latin-1"))
    assert read(latin).counts() == {"bad-row": 1}


def test_a_list_without_a_header_has_path_label_group_split(tmp_path):
    videos(tmp_path, "a.mp4", "b.mp4")
    path = touch(tmp_path / "t.csv", "a.mp4,jump,g,test\nb.mp4,jump\n")
    assert [(r.group, r.split) for r in read(path).items] == [("g", "test"), ("jump/b", None)]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no columns path, label"), ("path,video\n", "no columns path, label"), ("one\n", "no columns path, label")],
)
def test_a_list_without_its_columns_is_the_users_mistake(tmp_path, text, says):
    path = touch(tmp_path / "t.csv", text)
    with pytest.raises(UserError, match=says):
        read(path)


def test_missing_places_are_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"There is no .*none\.csv"):
        read(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"no train\.csv, val\.csv or test\.csv"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"no target format `cvs`\. Did you mean csv"):
        read_target("cvs", tmp_path)


names = st.text(
    alphabet=st.characters(blacklist_characters="/\0\r\n", blacklist_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda name: name.strip() not in ("", ".", "..") and len(name.encode()) < 200)


@settings(max_examples=60)
@given(st.lists(names, min_size=1, max_size=6, unique=True), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_any_file_name_survives_a_csv(tmp_path_factory, files, ending, bom):
    folder = tmp_path_factory.mktemp("csv")
    for name in files:
        touch(folder / name)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=ending)
    writer.writerow(["path", "label"])
    writer.writerows([f"./{name}", "jump"] for name in files)
    lists = folder.parent / f"{folder.name}.csv"
    lists.write_bytes(("\ufeff" * bom + text.getvalue()).encode())
    listing = read(folder, lists={"train": lists})
    assert [row.path for row in listing.items] == [folder / name for name in files]
    assert listing.problems == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60).filter(lambda line: not {10, 13} & set(line)), max_size=8))
def test_whatever_a_list_holds_every_line_is_an_item_or_a_problem(tmp_path_factory, lines):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    path = touch(folder / "t.csv", b"path,label\n" + b"".join(line + b"\n" for line in lines))
    listing = read_target("csv", path, class_list=CLASSES)
    assert len(listing.items) + len(listing.problems) == len(lines)
    assert sum(listing.counts().values()) == len(listing.problems)
