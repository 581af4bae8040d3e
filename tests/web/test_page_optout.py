from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.web.page_optout import MAX_CHARS, page_opt_out

US = ("omnisrc",)


@pytest.mark.parametrize(
    "meta",
    [
        '<meta name="robots" content="noai">', "<META NAME=ROBOTS CONTENT='noindex, NoImageAI'>",
        '<meta content="noai" name="robots"/>', '<meta name="omnisrc" content="none">',
        '<meta name="tdm-reservation" content="1">', '<meta name=" robots " content=" noml ">',
        '<meta name="robots" content="noai" content="all">',
    ],
)  # fmt: skip
def test_a_refusal_in_the_head_is_heard(meta: str) -> None:
    found = page_opt_out(f"<!doctype html><html><head><title>a</title>{meta}</head><body></body></html>", US)
    assert found is not None and found.said


@pytest.mark.parametrize(
    "html",
    [
        "", '<meta name="robots" content="nofollow, max-snippet:-1">', '<meta name="gptbot" content="noai">',
        '<p data-nosnippet>noai</p>', '<meta name="tdm-reservation" content="0">',
        '<!-- <meta name="robots" content="noai"> -->',
        '<body><meta name="robots" content="noai">', '<meta property="robots" content="noai">', '<meta name="robots">',
        '<script>"<meta name=robots content=noai>"</script>',
    ],
)  # fmt: skip
def test_other_metas_and_other_places_are_no_refusal(html: str) -> None:
    assert page_opt_out(html, US) is None


def test_what_was_heard_names_its_agent() -> None:
    found = page_opt_out('<meta name="robots" content="all"><meta name="GPTBot" content="noai">', (*US, "gptbot"))
    assert found is not None and (found.signal, found.directive, found.said) == ("meta gptbot", "noai", "noai")


def test_no_more_is_read_than_the_limit() -> None:
    meta = '<meta name="robots" content="noai">'
    assert page_opt_out(" " * (MAX_CHARS - len(meta)) + meta, US) is not None
    assert page_opt_out(" " * MAX_CHARS + meta, US) is None


@given(st.text() | st.text("<>!-[]'\"= amet/?\n"))
def test_no_page_breaks_the_reader(html: str) -> None:
    page_opt_out(html, US)
    page_opt_out("<meta name=robots content=noai>" + html, US)


@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "<meta ", "<meta a=", "<meta>", "<script>", "<script></", "<meta b='"]
)
def test_no_markup_takes_long(piece: str) -> None:
    began = time.process_time()
    page_opt_out(piece * MAX_CHARS, US)
    assert time.process_time() - began < 5.0
