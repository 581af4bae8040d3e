"""What `omnisrc status` shows of a crawl: queues, leases, rates, failures and hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from omnisrc.cli.crawl_view import in_bytes, in_time

MOST_HOSTS = 15
MOST_LEASES = 8


def crawl_view(crawl: Mapping[str, Any]) -> RenderableType:
    """The crawl's part of `status`, for a terminal of 80 columns or more."""
    parts: list[RenderableType] = [_now(crawl)]
    if crawl["budgets"]:
        words = "\n".join(f"{name}: {given['sentence']}" for name, given in crawl["budgets"].items())
        parts.append(Text(f"Budgets\n{words}"))
    parts += [Text(f"Crawl {order['id']}: {order['state']} {order['detail']}") for order in crawl.get("orders", [])]
    if crawl["queues"]:
        parts += [Text(), _queues(crawl["queues"])]
    if crawl["leases"]:
        parts += [Text(), _leases(crawl["leases"])]
    if crawl["failures"]:
        words = ", ".join(f"{count:,} {name}" for name, count in crawl["failures"].items())
        parts += [Text(), Text(f"Failures: {words}")]
    if crawl["hosts"]:
        parts += [Text(), _hosts(crawl["hosts"])]
    return Group(*parts)


def broker_view(broker: Mapping[str, Any]) -> RenderableType:
    """The broker's part of `status`: what waits on each queue, and who answers."""
    if not broker["reachable"]:
        return Text(f"Broker {broker['url']}: {broker.get('error', 'it did not answer in time')}", style="red")
    table = _table(f"Broker {broker['url']}", "queue", "workers", "doorbells", left=2)
    for queue, waiting in broker["doorbells"].items():
        names = broker["workers"].get(queue, [])
        table.add_row(queue, Text(", ".join(names) or "none answered"), f"{waiting:,}")
    return table


def _now(crawl: Mapping[str, Any]) -> Text:
    rates, finish = crawl["rates"], crawl["finish_s"]
    words = f"{rates['items_per_s']:.1f} items and {in_bytes(rates['bytes_per_s'])} a second over the last minute; "
    words += "time to finish unknown" if finish is None else f"{in_time(finish)} to finish what is known"
    text = Text(words)
    if crawl["paused"]:
        text.append(f"\npaused: {', '.join(crawl['paused'])} (omnisrc crawl resume)", style="yellow")
    return text


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < left else "right", overflow="fold")
    return table


def _queues(queues: Mapping[str, Mapping[str, int]]) -> Table:
    states = ("waiting", "later", "leased", "done", "failed")
    table = _table("Jobs", "stage", *states)
    for stage, counts in queues.items():
        table.add_row(stage, *(f"{counts.get(state, 0):,}" for state in states))
    return table


def _leases(leases: list[dict[str, Any]]) -> Table:
    table = _table("In hand", "job", "held by", "items", "lease ends in", left=2)
    for lease in leases[:MOST_LEASES]:
        name = Text(f"{lease['stage']}, {lease['subject']}")
        table.add_row(name, Text(lease["owner"]), f"{lease['done']:,}", in_time(max(0.0, lease["ends_s"])))
    if len(leases) > MOST_LEASES:
        table.add_row(f"and {len(leases) - MOST_LEASES:,} more", "", "", "")
    return table


def _hosts(hosts: list[dict[str, Any]]) -> Table:
    table = _table("Hosts", "host", "waiting", "in hand", "slots", "pace", "429s", "state")
    table.columns[-1].justify = "left"
    for host in hosts[:MOST_HOSTS]:
        table.add_row(
            Text(host["host"]), f"{host['waiting']:,}", f"{host['in_hand']:,}",
            f"{host['slots']}/{host['concurrency']}",
            f"{host['rate']:g}/s" if host["rate"] else "free", str(host["streak_429"]), Text(_state(host)),
        )  # fmt: skip
    if len(hosts) > MOST_HOSTS:
        table.add_row(f"and {len(hosts) - MOST_HOSTS:,} more", *[""] * 6)
    return table


def _state(host: Mapping[str, Any]) -> str:
    if host["until"] is None:
        return str(host["why"])
    return f"{host['why']}, {in_time(host['until'])}" if host["until"] else host["why"] or "ready"
