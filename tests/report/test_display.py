"""What comes from the web cannot do more on the page than be read."""

from __future__ import annotations

import math

import pytest

from omnisrc.report.display import lasted, number, percent, plain, points, safe_href, size


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " https://example.org/",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "//example.org/x",
        "/relative",
        "https://",
        "https:///path",
        "https://bank.example@evil.example/",
        'https://example.org/"onmouseover=alert(1)',
        "https://example.org/<b>",
        "https://example.org:port/",
        "https://[::1/",
        "http://[::1]/",
        "http://127.0.0.1:8080/",
        "http://192.168.0.1/reboot",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://1%32%37.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://router/",
        "http://printer.local/",
        "http://256.1.1.1/",
        "https://example.org/" + "a" * 2000,
        "",
        None,
        7,
    ],
)
def test_only_plain_http_urls_are_linked(url: object) -> None:
    assert safe_href(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c&d=%20#e",
        "http://example.org:8080/",
        "HTTPS://EXAMPLE.ORG/ü",
        "http://münchen.example/x",
        "http://93.184.215.14/",
    ],
)
def test_http_urls_are_linked_as_they_are(url: str) -> None:
    assert safe_href(url) == url


def test_text_loses_what_would_disturb_the_line_it_stands_in() -> None:
    assert plain("a\x00b\x1b[31mc\r\nd\te") == "a b [31mc d e"
    assert plain("safe \u202etxt.exe\u202c end") == "safe txt.exe end"
    assert plain("zero\u200bwidth\ufeff") == "zero width"
    assert plain("日本語 مرحبا é") == "日本語 مرحبا é"
    assert plain(None) == ""


def test_long_text_is_cut_to_the_limit() -> None:
    assert plain("x" * 10**6) == "x" * 159 + "…"
    assert len(plain("\u0301" * 1000)) <= 160


def test_figures_are_written_as_people_read_them() -> None:
    assert [number(1234567), number(0), number(None), number(math.nan)] == ["1,234,567", "0", "–", "–"]
    assert [percent(0.7654), percent(math.nan), percent(None)] == ["76.5 %", "–", "–"]
    assert [points(0.031), points(-0.2), points(0.0)] == ["+3.1", "−20.0", "+0.0"]
    assert [size(999), size(1500), size(2.5e9), size(3e15)] == ["999 B", "1.5 kB", "2.5 GB", "3000.0 TB"]
    assert [lasted(12.34), lasted(245), lasted(11_532)] == ["12.3 s", "4 min 5 s", "3 h 12 min"]
