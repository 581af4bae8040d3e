"""Licences that matter before training are marked, however they are written."""

from __future__ import annotations

import pytest

from omnisrc.report import licences
from omnisrc.report.licences import NO_DERIVATIVES, NON_COMMERCIAL, RESERVED, UNKNOWN, marks, read_licences
from omnisrc.study import Study
from tests.report import studies


@pytest.mark.parametrize(
    ("licence", "url", "found"),
    [
        (None, None, {UNKNOWN}),
        ("", "", {UNKNOWN}),
        (" Unknown ", None, {UNKNOWN}),
        ("CC BY 4.0", None, set()),
        ("CC BY-SA 3.0", None, set()),
        ("Public domain", None, set()),
        ("CC BY-ND 2.0", None, {NO_DERIVATIVES}),
        ("cc-by-nc-nd-4.0", None, {NO_DERIVATIVES, NON_COMMERCIAL}),
        ("CC_BY_ND", None, {NO_DERIVATIVES}),
        ("Attribution-NoDerivs License", None, {NO_DERIVATIVES}),
        ("Attribution-NonCommercial-No Derivatives", None, {NO_DERIVATIVES, NON_COMMERCIAL}),
        (None, "https://creativecommons.org/licenses/by-nd/4.0/", {NO_DERIVATIVES}),
        (None, "https://creativecommons.org/licenses/by/4.0/", set()),
        ("All Rights Reserved", None, {RESERVED}),
        (None, "http://rightsstatements.org/vocab/InC/1.0/", {RESERVED}),
        ("GNU Free Documentation License, second edition", None, set()),  # "nd" inside a word says nothing
    ],
)
def test_marks(licence: str | None, url: str | None, found: set[str]) -> None:
    assert set(marks(licence, url)) == found


def test_counts_by_licence_and_by_mark(any_study: Study) -> None:
    built = studies.filtered(any_study)
    found = any_study.database().read(lambda s: read_licences(s, built.selection))
    rows = {row.name: (row.found, row.stored, row.kept) for row in found.rows}
    assert rows["CC BY-ND 4.0"] == (1, 1, 1)
    assert rows["none given"] == (1, 1, 1)
    assert rows["CC BY-SA 4.0"] == (18, 11, 9)
    assert found.stored == {UNKNOWN: 1, NO_DERIVATIVES: 1}
    assert found.kept == {UNKNOWN: 1, NO_DERIVATIVES: 1}


def test_a_provider_that_names_thousands_of_licences_fills_one_row(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(licences, "SHOWN", 2)
    built = studies.filtered(study)
    found = study.database().read(lambda s: read_licences(s, built.selection))
    assert len(found.rows) == 3
    assert sum(row.found for row in found.rows) == 21 and sum(row.kept for row in found.rows) == 12
    assert found.stored == {UNKNOWN: 1, NO_DERIVATIVES: 1}  # the marks count on
