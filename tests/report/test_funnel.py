"""The funnel counts every asset and every sample once, on both databases."""

from __future__ import annotations

from omnisrc.report.failures import read_failures, read_other_failures
from omnisrc.report.funnel import read_funnel
from omnisrc.study import Study
from tests.report import studies


def test_the_total_counts_each_asset_and_sample_once(any_study: Study) -> None:
    built = studies.filtered(any_study)
    total = any_study.database().read(lambda s: read_funnel(s, built.class_list, built.selection)).total
    assert total.found == 12 + 2 + 1 + 6
    assert total.states == {"stored": 14, "duplicate": 1, "refused": 2, "failed": 3, "waiting": 1}
    assert total.errors == {"http-4xx": 3, "refused-address": 1, "too-small": 1}
    assert (total.samples, total.kept, total.dropped, total.packed) == (12 + 4, 8 + 4, 4, 8 + 4)
    assert total.reasons == {"disagree": 2, "contaminated": 1, "near-duplicate": 1}


def test_media_and_providers_add_up_to_the_total(any_study: Study) -> None:
    built = studies.filtered(any_study)
    funnel = any_study.database().read(lambda s: read_funnel(s, built.class_list, built.selection))
    for rows in (funnel.media, funnel.providers):
        for name in ("found", "samples", "kept", "dropped", "packed"):
            assert sum(getattr(row, name) for row in rows) == getattr(funnel.total, name), name
    table = next(row for row in funnel.providers if row.name == "table")
    assert (table.found, table.samples, table.kept, table.dropped) == (3, 3, 2, 1)  # images 3, 7 and 11
    videos = next(row for row in funnel.media if row.name == "videos")
    assert (videos.found, videos.samples, videos.packed) == (2, 4, 4)


def test_what_was_found_for_two_classes_counts_in_both(any_study: Study) -> None:
    built = studies.filtered(any_study)
    rows = any_study.database().read(lambda s: read_funnel(s, built.class_list, built.selection)).classes
    assert [row.name for row in rows] == list(studies.CLASSES)
    assert [row.found for row in rows] == [4 + 2 + 1, 4 + 1 + 3, 4 + 3]  # the duplicate is in the first two
    assert [row.samples for row in rows] == [4 + 4, 4 + 1, 4]
    assert [row.kept for row in rows] == [3 + 4, 3, 2]
    assert rows[1].errors == {"http-4xx": 3}
    assert rows[2].reasons == {"disagree": 1, "near-duplicate": 1}


def test_a_sample_whose_stored_asset_was_taken_down_counts_for_the_duplicate(study: Study) -> None:
    from db.models import Asset

    built = studies.crawled(study)

    def take_down(session):
        first = session.get_one(Asset, 1)
        first.state, first.error = "refused", "taken-down"
        session.query(Asset).filter(Asset.state == "duplicate").one().provider = "folder"

    study.database().write(take_down)
    rows = study.database().read(lambda s: read_funnel(s, built.class_list, None)).providers
    assert {row.name: row.samples for row in rows} == {"commons": 12, "table": 3, "folder": 1}


def test_failures_come_by_class_with_their_statuses_and_urls(any_study: Study) -> None:
    studies.crawled(any_study)
    failures = any_study.database().read(lambda s: read_failures(s, 2))
    by_name = {failure.error: failure for failure in failures}
    assert failures[0].error == "http-4xx"
    assert by_name["http-4xx"].statuses == [(404, 2), (403, 1)]
    assert len(by_name["http-4xx"].examples) == 2 and by_name["http-4xx"].examples[0].linked
    assert (by_name["http-5xx"].count, by_name["http-5xx"].waiting, by_name["http-5xx"].outcome) == (0, 1, "waiting")
    assert by_name["too-small"].outcome == "refused"
    assert not by_name["refused-address"].examples[0].linked  # a click on it would reach into the reader's network


def test_every_error_class_has_a_meaning() -> None:
    from omnisrc.errors import ErrorClass
    from omnisrc.report.failures import MEANING

    assert set(MEANING) == set(ErrorClass)


def test_other_failures_are_listed_up_to_the_limit_and_counted_beyond_it(any_study: Study) -> None:
    studies.filtered(any_study)
    shown, counts = any_study.database().read(read_other_failures)
    assert counts == {"target item": 1, "job": 1}
    assert [(failure.name, failure.error) for failure in shown] == [
        ("/data/broken.avi", "decode"),
        ("fetch drain 7", "storage"),
    ]
    shown, counts = any_study.database().read(lambda s: read_other_failures(s, 0))
    assert shown == [] and counts == {"target item": 1, "job": 1}
