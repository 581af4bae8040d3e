"""Whether a plan fits into the budgets of a crawl, with the arithmetic where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omnisrc.crawl.budgets import Used, free_bytes, limits_of, size_words
from omnisrc.crawl.plan import KEPT_BYTES, MEDIA_BYTES, PlanLine, total_s
from omnisrc.crawl.settings import CrawlSettings


def over_budget(
    lines: Sequence[PlanLine], settings: CrawlSettings, landing: Path, used: Sequence[Used] = ()
) -> list[str]:
    """One sentence for each budget that the plan, which is the most that a crawl can take, does not fit into.

    `used` is what earlier crawls have used, which the plan counts again. The volume is looked at without a floor too.
    """
    limits, told = limits_of(settings), {budget.name: budget.spent for budget in used}
    download, kept = sum(line.bytes for line in lines), sum(line.kept_bytes for line in lines)
    found = []
    for name, need, each in (("download", download, MEDIA_BYTES), ("disk", kept, KEPT_BYTES)):
        limit = limits[name]
        if limit is not None and need > limit:
            before = f", {size_words(told[name])} of it used before," if told.get(name) else ""
            found.append(
                f"The plan may need {size_words(need)} ({_sum(lines, each)}), more than crawl.max_{name} = "
                f"{size_words(limit)}{before} allows; the crawl stops there."
            )
    room = free_bytes(landing) - (limits["free"] or 0.0)
    if kept > room:
        floor = f" over the {size_words(limits['free'])} of crawl.min_free_disk" if limits["free"] else ""
        found.append(
            f"The plan may keep {size_words(kept)} ({_sum(lines, KEPT_BYTES)}), but the volume of {landing} has "
            f"{size_words(max(0.0, room))} free{floor}."
        )
    seconds = total_s(list(lines))
    if limits["hours"] is not None and seconds > limits["hours"]:
        before = f", {told['hours'] / 3600:,.2f} of them used before," if told.get("hours") else ""
        found.append(
            f"The plan takes up to {seconds / 3600:,.1f} hours, more than crawl.max_hours = {settings.max_hours:g}"
            f"{before} allows; the crawl stops there."
        )
    return found


def _sum(lines: Sequence[PlanLine], each: dict[str, int]) -> str:
    counts = {kind: sum(line.assets for line in lines if line.kind == kind) for kind in each}
    return " + ".join(f"{n:,} {kind}s of {size_words(each[kind])}" for kind, n in counts.items() if n)
