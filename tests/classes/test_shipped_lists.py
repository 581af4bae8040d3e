"""The lists in configs/classes against what is known of the data sets."""

from collections import Counter

import pytest

from omnisrc.classes import available, label_key, load_class_list

SHA256 = {
    "activitynet200": "a179ec576b1b7b62",
    "ava": None,
    "diving48": "7832becc4d932602",
    "gym99": "307861ed4285f6c3",
    "hmdb51": "c24c56a7af6f3ea5",
    "kinetics400": "e9f2806fe9109b851a80a74841244f6f8c9d10917fa0229cd82bab67f2f8e28f",
    "kinetics600": "8dfca4202520ea82",
    "kinetics700": "2f265d35aa760602",
    "kinetics710": "a853307b4880565c",
    "moments-in-time": "119e2be7d59e0bc3",
    "something-something-v2": "c9c5a86ece619e1a",
    "ucf101": "fabeefc51625dad8",
}
"""SHA-256 (or its head) of each data set's own label map, one name per line."""

COUNTS = {"activitynet200": 200, "ava": 60, "diving48": 48, "gym99": 99, "hmdb51": 51, "kinetics400": 400,
          "kinetics600": 600, "kinetics700": 700, "kinetics710": 710, "moments-in-time": 339,
          "something-something-v2": 174, "ucf101": 101}  # fmt: skip


def test_the_shipped_lists_are_these():
    assert available() == sorted(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_names_and_order_are_the_data_sets(name):
    classes = load_class_list(name)
    assert classes.name == name
    assert len(classes) == COUNTS[name]
    assert [action.index for action in classes] == list(range(COUNTS[name]))
    if SHA256[name]:
        assert classes.sha256.startswith(SHA256[name])


@pytest.mark.parametrize("name", COUNTS)
def test_every_class_can_be_asked_for_and_no_two_alike(name):
    classes = load_class_list(name)
    assert all(action.query and action.tags for action in classes)
    assert [query for query, n in Counter(action.query for action in classes).items() if n > 1] == []


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"gym99"}))
def test_every_name_is_found_whatever_its_spelling(name):
    for action in load_class_list(name):
        for label in (action.name, action.name.upper(), action.name.replace(" ", "_"), label_key(action.name)):
            assert load_class_list(name).find(label) is action


def test_kinetics400_is_byte_sorted_with_the_papers_number_of_tags():
    classes = load_class_list("kinetics400")
    assert list(classes.names) == sorted(classes.names, key=str.encode)
    assert (classes.names[0], classes.names[399]) == ("abseiling", "zumba")
    tags = sum(len(action.tags) for action in classes)
    assert tags == pytest.approx(1479, rel=0.02)  # OmniSource, section 4.2
    bees = classes.find("bee keeping")
    assert bees.tags == ("beekeeping", "keepbee", "keepingbee")


def test_kinetics710_begins_with_kinetics400_but_for_13_names():
    pairs = zip(load_class_list("kinetics400").names, load_class_list("kinetics710").names[:400], strict=True)
    renamed = dict(pair for pair in pairs if pair[0] != pair[1])
    assert len(renamed) == 13
    assert renamed["balloon blowing"] == "inflating balloons"


def test_ids_are_those_of_the_data_sets_files():
    assert [action.id for action in load_class_list("ucf101")] == list(range(1, 102))
    assert load_class_list("ucf101").find("HandStandPushups").id == 37
    ava = load_class_list("ava")
    assert (ava.find("watch (a person)").id, ava.find("watch (a person)").index) == (80, 59)
    assert (ava.find("bend/bow (at the waist)").id, ava.find("crouch/kneel").id) == (1, 3)
    assert load_class_list("kinetics400").find("zumba").id == 399


def test_handstand_pushups_is_one_class_in_both_spellings():
    ucf101 = load_class_list("ucf101")
    assert ucf101.find("HandStandPushups") is ucf101.find("HandstandPushups")
    assert ucf101.find("HandstandPushups").query == "handstand pushups"


GYM99_SETS = [
    # set id, dense index, event, first class, last class: research on FineGym's own category files
    (1, 0, "vault", 0, 5),
    (21, 1, "floor exercise", 6, 16),
    (22, 2, "floor exercise", 17, 23),
    (24, 3, "floor exercise", 24, 30),
    (25, 4, "floor exercise", 31, 40),
    (31, 5, "balance beam", 41, 52),
    (32, 6, "balance beam", 53, 56),
    (33, 7, "balance beam", 57, 64),
    (34, 8, "balance beam", 65, 68),
    (35, 9, "balance beam", 69, 73),
    (41, 10, "uneven bars", 74, 88),
    (42, 11, "uneven bars", 89, 93),
    (43, 12, "uneven bars", 94, 95),
    (44, 13, "uneven bars", 96, 98),
]


def test_gym99_lies_under_its_sets_and_events():
    gym99 = load_class_list("gym99")
    events, sets = gym99.levels
    assert (events.name, [m.name for m in events.members], [m.id for m in events.members]) == (
        "event", ["vault", "floor exercise", "balance beam", "uneven bars"], [1, 2, 3, 4],
    )  # fmt: skip
    assert [(m.id, m.index) for m in sets.members] == [row[:2] for row in GYM99_SETS]
    set_of = {m.name: m for m in sets.members}
    for number, _, event, first, last in GYM99_SETS:
        for action in gym99.classes[first : last + 1]:
            above = dict(action.parents)
            assert (above["event"], set_of[above["set"]].id) == (event, number)


def test_gym99_counts_and_codes_agree():
    gym99 = load_class_list("gym99")
    event_of = {m.name: m.id for m in gym99.levels[0].members}
    set_of = {m.name: m.id for m in gym99.levels[1].members}
    per_event = Counter(event_of[dict(action.parents)["event"]] for action in gym99)
    assert per_event == {1: 6, 2: 35, 3: 33, 4: 25}
    prefix = {"VT": 1, "FX": 2, "BB": 3, "UB": 4}
    for action in gym99:
        above = dict(action.parents)
        event, number = event_of[above["event"]], set_of[above["set"]]
        assert prefix[action.name[1:3]] == event
        assert number // 10 == event or (number, event) == (1, 1)


def test_gym99_keeps_its_two_elements_of_one_name_apart():
    twins = load_class_list("gym99").matches("(BB) salto backward tucked")
    assert [action.index for action in twins] == [58, 70]
    assert len({action.query for action in twins}) == 2
    assert load_class_list("gym99").find("(BB) salto backward tucked") is None
