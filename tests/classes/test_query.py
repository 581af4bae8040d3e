import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.classes.query import query_text, tags_of


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("HandstandPushups", "handstand pushups"),
        ("HandStandPushups", "hand stand pushups"),
        ("YoYo", "yo yo"),
        ("BMX", "bmx"),
        ("iPhone", "iphone"),
        ("PlayingTVGame", "playing tv game"),
        ("LEGO building", "lego building"),
        ("brush_hair", "brush hair"),
        ("adult+female+singing", "adult female singing"),
        ("bend/bow (at the waist)", "bend bow at the waist"),
        ("massaging person's head", "massaging persons head"),
        ("massaging person\u2019s \u201chead\u201d", "massaging persons head"),
        ('"air" drumming', "air drumming"),
        ("Putting [something] on a surface", "putting something on a surface"),
        ("punching person (boxing)", "punching person boxing"),
        ("skiing (not slalom or crosscountry)", "skiing"),
        ("climb (e.g., a mountain)", "climb"),
        ("(not cat)", "not cat"),
        ("salto with 2.5 twist.", "salto with 2.5 twist"),
        ("clean & jerk", "clean and jerk"),
        ("  Rock-paper-scissors\t", "rock paper scissors"),
        ("natação", "natação"),
        ("跳舞", "跳舞"),
        ("कूदना", "कूदना"),
        ("???", ""),
    ],
)
def test_a_name_becomes_what_a_person_would_type(name, query):
    assert query_text(name) == query


@given(st.text())
def test_a_query_is_clean_and_empty_only_where_there_is_nothing_to_say(name):
    query = query_text(name)
    assert bool(query) == any(c.isalnum() for c in unicodedata.normalize("NFKC", name))
    assert query == " ".join(query.split())
    assert not re.search(r"[()\[\]{}\"'/\\_,;:!?+#]", query)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_an_ascii_name_gives_an_ascii_query(name):
    assert re.fullmatch(r"([a-z0-9.]+( [a-z0-9.]+)*)?", query_text(name))


@given(st.text())
def test_cleaning_a_query_again_changes_nothing(name):
    query = query_text(name)
    assert query_text(query) == query


def test_tags_of_the_papers_figure_2():
    assert tags_of(query_text("bee keeping")) == ("beekeeping", "keepbee", "keepingbee")
    assert tags_of(query_text("abseiling")) == ("abseiling", "abseil")


def test_nouns_also_stand_in_the_singular():
    assert set(tags_of("answering questions")) == {
        "answeringquestions", "answeringquestion", "answerquestions", "answerquestion",
        "questionsanswering", "questionanswering",
    }  # fmt: skip


def test_little_words_stay_in_the_plain_tag_alone():
    tags = tags_of("getting a haircut")
    assert tags[0] == "gettingahaircut"
    assert set(tags[1:]) == {"gettinghaircut", "gethaircut", "haircutgetting"}
    assert tags_of("put on") == ("puton", "onput")


def test_a_sentence_gives_few_tags():
    assert len(tags_of("pretending to pour something out of something but something is empty")) <= 3


def test_a_text_without_latin_letters_has_no_tags():
    assert tags_of("跳舞") == ()
    assert tags_of("natação") == ("natacao",)


@given(st.text())
def test_tags_are_what_tag_sites_accept(name):
    tags = tags_of(query_text(name))
    assert all(re.fullmatch("[a-z0-9]+", tag) for tag in tags)
    assert len(set(tags)) == len(tags)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789 ", min_size=1).filter(str.strip))
def test_a_latin_name_always_has_its_plain_tag_first(name):
    assert tags_of(query_text(name))[0] == name.replace(" ", "")
