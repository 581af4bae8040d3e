"""How many guards a worker that fetches has."""

from __future__ import annotations

from omnisrc.crawl.ahead import guards
from omnisrc.media.guard import cores
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool


def test_guards_of_a_fetching_worker_outnumber_the_cores_but_not_the_setting() -> None:
    assert guards(MediaSettings()).size == cores() + 2
    assert shared_pool(MediaSettings()).size == cores()
    assert guards(MediaSettings(guard_processes=1)) is shared_pool(MediaSettings(guard_processes=1))
    assert guards(MediaSettings(guard_processes=1)).size == 1
