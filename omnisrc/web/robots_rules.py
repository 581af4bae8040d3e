"""What a robots.txt says: groups of rules by product token (RFC 9309), Crawl-delay, and usage preferences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from omnisrc.web.path_patterns import canonical_path, canonical_pattern, matches
from omnisrc.web.usage import NAMES, refused_category

EVERYBODY = "*"
_LINES = re.compile(r"\r\n|\r|\n")
_TOKEN = re.compile(r"\*|[\w.-]+")
_DELAY = re.compile(r"\d{1,9}(\.\d{1,9})?")
_AGENT = frozenset({"user-agent", "useragent", "user agent"})
_DISALLOW = frozenset({"disallow", "dissallow", "disalow", "dissalow", "diasllow", "disallaw"})


@dataclass(frozen=True)
class Rule:
    """One line: `pattern` in canonical form, `line` as it was written, `number` from 1."""

    pattern: str
    line: str
    number: int
    allows: bool = False

    @property
    def said(self) -> str:
        return f"line {self.number}: {self.line}"


@dataclass
class Group:
    """All rules for one product token, from all groups that name it."""

    agent: str
    access: list[Rule] = field(default_factory=list)
    usage: list[Rule] = field(default_factory=list)
    delay_s: float | None = None

    def disallowing(self, path: str) -> Rule | None:
        """The rule that forbids a canonical path: the longest that matches decides, Allow among equals."""
        best = max(
            (rule for rule in self.access if matches(rule.pattern, path)),
            key=lambda rule: (len(rule.pattern), rule.allows),
            default=None,
        )
        return None if best is None or best.allows else best

    def opting_out(self, path: str) -> Rule | None:
        """The usage preference that keeps a canonical path from training: of the longest that match, any that does."""
        found = [rule for rule in self.usage if matches(rule.pattern, path)]
        longest = max((len(rule.pattern) for rule in found), default=0)
        return next((rule for rule in found if len(rule.pattern) == longest and not rule.allows), None)


@dataclass
class RobotsRules:
    """The groups of a file, by product token in lower case."""

    groups: dict[str, Group] = field(default_factory=dict)

    def binding(self, agents: Sequence[str]) -> list[Group]:
        """The groups that bind us: the first agent's, or everybody's where it has none; the others' where named."""
        own, *others = (self.groups.get(agent.lower()) for agent in agents)
        return [group for group in (own or self.groups.get(EVERYBODY), *others) if group is not None]

    def disallowing(self, url: str, agents: Sequence[str]) -> tuple[Group, Rule] | None:
        """The group and rule that forbid the path and query `url`."""
        path = canonical_path(url)
        if path == "/robots.txt":
            return None
        return next(((group, rule) for group in self.binding(agents) if (rule := group.disallowing(path))), None)

    def opting_out(self, url: str, agents: Sequence[str]) -> tuple[Group, Rule] | None:
        """The group and usage preference that keep the path and query `url` from training."""
        path = canonical_path(url)
        return next(((group, rule) for group in self.binding(agents) if (rule := group.opting_out(path))), None)

    def delay_s(self, agents: Sequence[str]) -> float | None:
        """The longest Crawl-delay of the groups that bind us."""
        return max((group.delay_s for group in self.binding(agents) if group.delay_s), default=None)


def parse_robots(text: str) -> RobotsRules:
    """Reads a file. Nothing in it is an error: lines that say nothing known are passed over (section 2.2.4)."""
    rules = RobotsRules()
    named: list[Group] = []
    ruled = False
    for number, line in enumerate(_LINES.split(text.removeprefix("\ufeff")), 1):
        written = line.partition("#")[0].strip()
        key, colon, value = (part.strip() for part in written.partition(":"))
        key = key.lower()
        if not colon:
            continue
        if key in _AGENT:
            if ruled:
                named, ruled = [], False
            token = _TOKEN.match(value)
            if token is not None:
                agent = token[0].lower()
                named.append(rules.groups.setdefault(agent, Group(agent)))
        elif key == "crawl-delay":  # as any other record, it ends no list of user agents
            if _DELAY.fullmatch(value):
                for group in named:
                    group.delay_s = max(group.delay_s or 0.0, float(value))
        elif key == "allow" or key in _DISALLOW or key in NAMES:
            ruled = True
            _add(named, key, value, written, number)
    return rules


def _add(named: Sequence[Group], key: str, value: str, written: str, number: int) -> None:
    if key in NAMES:
        path, _, stated = value.partition(" ") if value.startswith(("/", "*")) else ("/", "", value)
        rule = Rule(canonical_pattern(path), written[:500], number, refused_category(stated) is None)
        for group in named:
            group.usage.append(rule)
    elif value:
        rule = Rule(canonical_pattern(value), written[:500], number, key == "allow")
        for group in named:
            group.access.append(rule)
