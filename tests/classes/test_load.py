import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.classes import load_class_list, names_sha256
from omnisrc.errors import UserError


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_name_is_found_in_other_spellings():
    assert load_class_list("Kinetics-400") is load_class_list("kinetics400")


@pytest.mark.parametrize(
    ("name", "near"), [("kinetics-40", "kinetics400"), ("k400", "kinetics400"), ("ufc101", "ucf101"), ("gym", "gym99")]
)
def test_an_unknown_name_names_near_ones_and_says_how_to_pass_a_file(name, near):
    with pytest.raises(UserError) as error:
        load_class_list(name)
    assert f"`{name}`" in str(error.value)
    assert near in str(error.value)
    assert "./my-classes.txt" in str(error.value)


def test_a_txt_list_may_have_comments_blank_lines_a_bom_and_crlf(tmp_path):
    path = write(tmp_path, "mine.txt", "\ufeff# my classes\r\nbee keeping\r\n\r\n  air  drumming \r\n")
    classes = load_class_list(path)
    assert (classes.name, classes.names) == ("mine", ("bee keeping", "air drumming"))
    assert classes.sha256 == hashlib.sha256(b"bee keeping\nair drumming\n").hexdigest()
    assert load_class_list(str(path)) == classes


def test_numbers_before_every_name_are_ids(tmp_path):
    classes = load_class_list(write(tmp_path, "classInd.txt", "1 ApplyEyeMakeup\n2 ApplyLipstick\n7 Archery\n"))
    assert [(a.id, a.index, a.name) for a in classes] == [
        (1, 0, "ApplyEyeMakeup"), (2, 1, "ApplyLipstick"), (7, 2, "Archery"),
    ]  # fmt: skip


def test_a_number_before_some_names_belongs_to_the_name(tmp_path):
    assert load_class_list(write(tmp_path, "a.txt", "3 point shot\nslam dunk\n")).names == ("3 point shot", "slam dunk")


def test_a_csv_list_may_give_queries_and_tags(tmp_path):
    path = write(tmp_path, "mine.csv", '\ufeffName,query,tags\r\n"jump, high",,\r\nBMX,bmx race,bmx bmxrace\r\n')
    jump, bmx = load_class_list(path)
    assert (jump.name, jump.query) == ("jump, high", "jump high")
    assert (bmx.query, bmx.tags) == ("bmx race", ("bmx", "bmxrace"))


def test_a_yaml_list_may_give_everything(tmp_path):
    path = write(
        tmp_path,
        "mine.yaml",
        """
name: gym
title: My gym
first_id: 10
levels: {event: {floor: 7, beam: 9}}
classes:
- {name: split leap, parents: {event: floor}}
- {name: wolf turn, query: wolf turn beam, tags: [wolfturn], parents: {event: beam}}
""",
    )
    classes = load_class_list(path)
    assert (classes.name, classes.title, [a.id for a in classes]) == ("gym", "My gym", [10, 11])
    assert (classes.classes[1].query, classes.classes[1].tags) == ("wolf turn beam", ("wolfturn",))
    assert [(m.index, m.id, m.name) for m in classes.levels[0].members] == [(0, 7, "floor"), (1, 9, "beam")]


def test_levels_are_numbered_by_appearance_where_they_are_not_declared(tmp_path):
    path = write(tmp_path, "a.yml", "- {name: x, parents: {kind: b}}\n- {name: y, parents: {kind: a}}\n")
    assert [(m.index, m.id, m.name) for m in load_class_list(path).levels[0].members] == [(0, 0, "b"), (1, 1, "a")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "", "holds no class"),
        ("a.txt", "jump\nJUMP\n", "a.txt:2 repeats the class `JUMP` of"),
        ("a.txt", "jump\n???\n", "give it a query"),
        ("a.txt", b"\xff\xfej\x00", "UTF-8"),
        ("a.json", "[]", "not a .txt, .csv or .yaml"),
        ("a.csv", "jump\nrun\n", "no column `name`"),
        ("a.csv", "id,name\n0,jump\n0,run\n", "one id"),
        ("a.csv", "id,name\nx,jump\n", "'x' is not a whole number"),
        ("a.yaml", "classes: {a: b}", "no list `classes`"),
        ("a.yaml", "- jump\n- no\n", "class 1 is False, not text"),
        ("a.yaml", "- a: b: c\n", "not valid YAML at line 1"),
        ("a.yaml", "- {name: jump, tag: [x]}", "`tag` is not known"),
        ("a.yaml", "- {name: jump, tags: ['#jump']}", "`#jump`"),
        ("a.yaml", "- {name: jump, tags: jump}", "must be a list"),
        ("a.yaml", "- {name: x, parents: {k: a}}\n- y\n", "other levels"),
        ("a.yaml", "levels: {k: {a: 1}}\nclasses: [{name: x, parents: {k: b}}]", "`b`"),
        (
            "a.yaml",
            "- {name: x, parents: {event: A, set: s}}\n- {name: y, parents: {event: B, set: s}}\n",
            "lies under both `A` and `B`",
        ),
    ],
)
def test_a_file_that_is_no_class_list_is_refused_in_one_sentence(tmp_path, name, text, says):
    with pytest.raises(UserError) as error:
        load_class_list(write(tmp_path, name, text))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(UserError, match=r"cannot be read|is not a \.txt"):
            load_class_list(path)


words = st.text(alphabet="abcdefghijklmnop ,'\"-", min_size=1, max_size=20).filter(lambda s: any(map(str.isalpha, s)))


@given(st.lists(words, min_size=1, max_size=8, unique_by=lambda s: "".join(filter(str.isalpha, s))))
def test_any_names_survive_a_txt_file_and_the_hash_is_that_of_the_clean_names(tmp_path_factory, names):
    clean = [" ".join(name.split()) for name in names]
    path = write(tmp_path_factory.mktemp("lists"), "any.txt", "".join(f"{name}\n" for name in names))
    classes = load_class_list(path)
    assert list(classes.names) == clean
    assert classes.sha256 == names_sha256(clean)
