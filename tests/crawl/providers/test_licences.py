from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.licences import is_open, licence_name, licence_of_url
from omnisrc.report.licences import NO_DERIVATIVES, NON_COMMERCIAL, UNKNOWN, marks

CODES = ["by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://creativecommons.org/licenses/by-sa/4.0/", "CC BY-SA 4.0"),
        ("http://www.creativecommons.org/licenses/by/2.0", "CC BY 2.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/us/", "CC BY-NC-ND 3.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.de", "CC BY 4.0"),
        ("HTTPS://CreativeCommons.org/licenses/BY/4.0/", "CC BY 4.0"),
        ("//creativecommons.org/licenses/by/4.0/", "CC BY 4.0"),
        ("https://creativecommons.org/licenses/by/", "CC BY"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "Public Domain Mark 1.0"),
        ("http://creativecommons.org/licenses/publicdomain/", "Public domain"),
        ("http://creativecommons.org/publicdomain", "Public domain"),
        ("https://creativecommons.org/publicdomain/certification/1.0/us/", None),
        ("https://creativecommons.org/licenses/", None),
        ("https://creativecommons.org/about/by/4.0/", None),
        ("https://creativecommons.org.evil.example/licenses/by/4.0/", None),
        ("https://example.org/?u=https://creativecommons.org/licenses/by/4.0/", None),
        ("https://www.gnu.org/licenses/gpl-3.0.html", None),
        ("", None),
        (None, None),
    ],
)
def test_a_licence_url_gives_the_name_that_people_use(url: str | None, name: str | None) -> None:
    assert licence_of_url(url) == name and is_open(url) == (name is not None)


@given(st.sampled_from(CODES), st.sampled_from(["1.0", "2.0", "2.5", "3.0", "4.0"]), st.sampled_from(["", "/", "/jp/"]))
def test_url_and_code_agree_on_the_name(code: str, version: str, tail: str) -> None:
    name = licence_of_url(f"https://creativecommons.org/licenses/{code}/{version}{tail}")
    assert name == licence_name(code, version) == f"CC {code.upper()} {version}"
    assert (NO_DERIVATIVES in marks(name, None)) == ("nd" in code)
    assert (NON_COMMERCIAL in marks(name, None)) == ("nc" in code) and UNKNOWN not in marks(name, None)


@given(st.text())
def test_any_text_is_a_licence_or_none(text: str) -> None:
    assert licence_of_url(text) is None or "creativecommons.org/" in text.lower()


def test_a_code_that_nobody_knows_stays_as_it_is() -> None:
    assert licence_name("sampling+", "1.0") == "sampling+ 1.0" and licence_name(" ") is None
    assert licence_name("CC0") == "CC0"
