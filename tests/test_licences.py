from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.licences import LicenceRules, canonical, is_open, licence_name, licence_of_url, permitted
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


@pytest.mark.parametrize(
    ("licence", "url", "name"),
    [
        ("cc-by-sa-4.0", None, "CC BY-SA 4.0"),
        ("by-sa 4.0", None, "CC BY-SA 4.0"),
        ("BY-ND-NC", None, "CC BY-NC-ND"),
        ("Attribution-NonCommercial-ShareAlike License", None, "CC BY-NC-SA"),
        ("Creative Commons Attribution-Share Alike 3.0 Unported", None, "CC BY-SA 3.0"),
        ("Attribution-NoDerivs License", None, "CC BY-ND"),
        ("CC BY-SA 3.0 de", None, "CC BY-SA 3.0 DE"),
        ("https://creativecommons.org/licenses/by-nc/2.0/", None, "CC BY-NC 2.0"),
        (None, "https://creativecommons.org/licenses/by-nc/2.0/", "CC BY-NC 2.0"),
        ("unknown", "https://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0"),
        ("CC-Zero", None, "CC0"),
        ("cc0 1.0 Universal", None, "CC0 1.0"),
        ("pdm 1.0", None, "Public Domain Mark 1.0"),
        ("Free Art  Licence", None, "Free Art Licence"),
        ("All Rights Reserved", None, "All Rights Reserved"),
        ("All Rights Reserved", "https://creativecommons.org/licenses/by/4.0/", "All Rights Reserved"),
        (" ", None, ""),
        ("None", None, ""),
    ],
)
def test_a_licence_has_one_spelling(licence: str | None, url: str | None, name: str) -> None:
    assert canonical(licence, url) == name


WORDS = {"by": "Attribution", "nc": "NonCommercial", "nd": "NoDerivs", "sa": "ShareAlike"}


@given(st.sampled_from(CODES), st.sampled_from(["1.0", "2.0", "2.5", "3.0", "4.0"]))
def test_all_forms_of_a_licence_match_the_same_patterns(code: str, version: str) -> None:
    flickr = "-".join(WORDS[part] for part in code.split("-"))
    forms = [
        (f"CC {code.upper()} {version}", None),
        (f"cc-{code}-{version}", None),
        (f"cc_{code.replace('-', '_')}_{version}", None),
        (f"{code} {version}", None),
        (f"{flickr} {version} International License", None),
        (f"Creative Commons {flickr} {version}", None),
        (f"https://creativecommons.org/licenses/{code}/{version}/", None),
        ("", f"http://creativecommons.org/licenses/{code}/{version}/deed.fr"),
        (licence_name(code, version), None),
    ]
    assert {canonical(*form) for form in forms} == {f"CC {code.upper()} {version}"}
    for pattern in (
        "CC BY*",
        "*NC*",
        "*-nd*",
        "CC0*",
        f"cc-{code}-{version}",
        forms[6][0],
        f"{flickr} License {version}",
    ):
        expected = {"CC BY*": True, "*NC*": "nc" in code, "*-nd*": "nd" in code, "CC0*": False}.get(pattern, True)
        assert {permitted([LicenceRules(allow=(pattern,))], *form) for form in forms} == {expected}
        assert {permitted([LicenceRules(deny=(pattern,))], *form) for form in forms} == {not expected}


@given(st.text(max_size=40))
def test_the_spelling_of_a_spelling_is_itself_and_no_text_breaks_it(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(st.sampled_from(["CC0", "CC BY 4.0", "ARR", None]), st.lists(st.sampled_from(["CC0", "CC BY*", "ARR"])))
def test_a_stage_narrows_and_never_widens(licence: str | None, allow: list[str]) -> None:
    study, stage = LicenceRules(deny=("ARR",), unknown="drop"), LicenceRules(allow=tuple(allow))
    assert permitted([study, stage], licence) == (permitted([study], licence) and permitted([stage], licence))
    assert not permitted([study, LicenceRules(allow=("ARR",))], "ARR")
    assert not permitted([study, stage], None)


def test_the_word_licence_is_no_nc() -> None:
    assert permitted([LicenceRules(deny=("*NC*",))], "Free Art Licence")
