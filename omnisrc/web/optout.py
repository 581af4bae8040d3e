"""The opt-out engine: every way in which an owner can say no, asked before a request and at the head of each answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from omnisrc.errors import ErrorClass
from omnisrc.web import tdmrep
from omnisrc.web.client import AGENT, Client, Headers
from omnisrc.web.optout_headers import header_opt_out
from omnisrc.web.refusal import Refusal
from omnisrc.web.robots_rules import Group, RobotsRules, Rule, parse_robots
from omnisrc.web.site_files import MemoryStore, SiteFile, SiteFiles, SiteFileStore
from omnisrc.web.urls import WebUrl

ROBOTS = "/robots.txt"
LONGEST_DELAY_S = 60.0


class OptOuts:
    """Refuses what its owner keeps from us, with the evidence.

    Args:
        agents: product tokens that owners may address us by, our own first.
        slow_down: told the Crawl-delay of a site that has one, `longest_delay_s` at the most.
    """

    def __init__(
        self,
        client: Client,
        store: SiteFileStore | None = None,
        *,
        agents: Sequence[str] = (AGENT,),
        slow_down: Callable[[str, float], None] | None = None,
        longest_delay_s: float = LONGEST_DELAY_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        store = store or MemoryStore()
        self._agents = tuple(agents)
        self._slow_down = slow_down
        self._longest_delay_s = longest_delay_s
        self._now = now
        self._slowed: dict[str, float] = {}
        self._robots = SiteFiles(client, store, ROBOTS, parse_robots, now)
        self._reservations = SiteFiles(client, store, tdmrep.PATH, tdmrep.parse_tdmrep, now)

    async def check(self, target: WebUrl) -> None:
        """What the site says of a URL, before it is asked for.

        Raises Refusal: ROBOTS where robots.txt forbids it or answered 429 or 5xx (its status is then the error's),
        OPT_OUT where a usage preference there or tdmrep.json keeps it from training; and the ItemError of a request
        without an answer.
        """
        file, rules = await self._robots.of(target.origin)
        self._keep_delay(target.site, rules)
        if file.in_trouble and not file.given_up:
            detail = f"robots.txt answered {file.status}: nothing is allowed"
            raise Refusal(ErrorClass.ROBOTS, detail, {"signal": "robots.txt", **file.evidence}, http_status=file.status)
        forbidden = rules.disallowing(target.url.raw_path_qs, self._agents)
        if forbidden is not None:
            evidence = self._by_rule("robots.txt", target, file, *forbidden)
            raise Refusal(ErrorClass.ROBOTS, "robots.txt forbids it", evidence)
        kept = rules.opting_out(target.url.raw_path_qs, self._agents)
        if kept is not None:
            evidence = self._by_rule("robots.txt usage", target, file, *kept)
            raise Refusal(ErrorClass.OPT_OUT, f"robots.txt: {kept[1].line}"[:200], evidence)
        await self._check_reservations(target)

    async def _check_reservations(self, target: WebUrl) -> None:
        file, locations = await self._reservations.of(target.origin)
        reserved = tdmrep.reserving(locations, target.url.raw_path_qs)
        if reserved is not None:
            evidence = {"signal": "tdmrep.json", "said": reserved.written, "url": str(target), **file.evidence}
            raise Refusal(ErrorClass.OPT_OUT, "tdmrep.json reserves it", evidence)

    def heed(self, target: WebUrl, status: int, headers: Headers) -> None:
        """What the head of an answer says: of the medium itself, or of the URL that redirects to it.

        Raises Refusal(OPT_OUT). An error page speaks for itself, and not for what was asked for.
        """
        if status >= 400:
            return
        found = header_opt_out(headers, self._agents)
        if found is not None:
            evidence = {"signal": found.signal, "said": found.said, "where": str(target), "at": self._now()}
            raise Refusal(ErrorClass.OPT_OUT, f"{found.signal}: {found.directive}", evidence, http_status=status)

    def _by_rule(self, signal: str, target: WebUrl, file: SiteFile, group: Group, rule: Rule) -> dict[str, Any]:
        return {"signal": signal, "said": rule.said, "agent": group.agent, "url": str(target), **file.evidence}

    def _keep_delay(self, site: str, rules: RobotsRules) -> None:
        delay_s = min(rules.delay_s(self._agents) or 0.0, self._longest_delay_s)
        if delay_s > 0 and self._slow_down is not None and self._slowed.get(site) != delay_s:
            self._slowed[site] = delay_s
            self._slow_down(site, delay_s)
