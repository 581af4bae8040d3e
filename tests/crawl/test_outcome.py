from __future__ import annotations

import pytest

from db.models import Asset
from omnisrc.crawl.outcome import Fetched, Outcome, decision_row, error_row, pause_before_retry, stored_row
from omnisrc.errors import REFUSED, RETRY, ErrorClass, ItemError
from omnisrc.web.refusal import Refusal

NOW = 1000.0


def asset(attempts: int = 0) -> Asset:
    return Asset(id=7, url="http://a/", attempts=attempts)


def test_an_error_that_passes_goes_back_with_a_pause_until_its_tries_are_used_up() -> None:
    error = ItemError(ErrorClass.HTTP_5XX, "HTTP 503", http_status=503)
    tries = RETRY[ErrorClass.HTTP_5XX].attempts
    for attempts in range(tries - 1):
        row = error_row(Outcome(asset(attempts), error=error), NOW)
        assert (row["state"], row["attempts"], row["http_status"]) == ("waiting", attempts + 1, 503)
        assert NOW <= row["not_before"] <= NOW + RETRY[ErrorClass.HTTP_5XX].pause_s * 2**attempts
    last = error_row(Outcome(asset(tries - 1), error=error), NOW)
    assert (last["state"], last["error"], last["fetched"]) == ("failed", "http-5xx", NOW)


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    error = ItemError(ErrorClass.HTTP_429, retry_after=600.0)
    assert pause_before_retry(error, 1) == 600.0


def test_pauses_differ_so_that_no_crowd_comes_back_at_once() -> None:
    error = ItemError(ErrorClass.CONNECT)
    assert len({pause_before_retry(error, 2) for _ in range(20)}) > 10


@pytest.mark.parametrize("error", [error for error in ErrorClass if error not in RETRY])
def test_all_other_errors_are_final_and_are_either_refused_or_failed(error: ErrorClass) -> None:
    row = error_row(Outcome(asset(), error=ItemError(error, "because")), NOW)
    assert row["state"] == ("refused" if error in REFUSED else "failed")
    assert (row["error"], row["error_detail"]) == (error.value, "because")


def test_a_robots_txt_in_trouble_is_asked_for_again_and_a_refusal_is_not() -> None:
    trouble = Refusal(ErrorClass.ROBOTS, "answered 503", {}, http_status=503)
    assert error_row(Outcome(asset(), error=trouble), NOW)["state"] == "waiting"
    assert error_row(Outcome(asset(9), error=trouble), NOW)["state"] == "refused"
    assert error_row(Outcome(asset(), error=Refusal(ErrorClass.ROBOTS, "forbids it", {})), NOW)["state"] == "refused"


def test_an_asset_that_nobody_asked_for_goes_back_without_blame() -> None:
    row = error_row(Outcome(asset(2), later_s=3.0), NOW)
    assert (row["state"], row["attempts"], row["not_before"], row["error"]) == ("waiting", 2, NOW + 3.0, None)


def test_a_stored_asset_names_its_blob_and_where_it_came_from() -> None:
    row = stored_row(Outcome(asset(1), Fetched("http://b/", 200), "ab" * 32, "k"), "stored", 42, NOW)
    assert (row["state"], row["blob_id"], row["final_url"], row["http_status"]) == ("stored", 42, "http://b/", 200)
    assert row["attempts"] == 2 and row["error"] is None


def test_decisions_keep_their_evidence_and_other_errors_are_none() -> None:
    refusal = Refusal(ErrorClass.OPT_OUT, "noai", {"header": "noai"})
    row = decision_row(Outcome(asset(), error=refusal), NOW)
    assert row == {"asset_id": 7, "kind": "opt-out", "allowed": False, "evidence": {"header": "noai"}, "decided": NOW}
    address = decision_row(Outcome(asset(), error=ItemError(ErrorClass.REFUSED_ADDRESS, "10.0.0.1")), NOW)
    assert address is not None and address["evidence"] == {"detail": "10.0.0.1"}
    assert decision_row(Outcome(asset(), error=ItemError(ErrorClass.DECODE)), NOW) is None
