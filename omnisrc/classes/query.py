"""What is asked of the web for a class: a query text for search services, tags for tag sites.

Source: OmniSource (ECCV 2020), section 3.3 and figure 2: the class name is the query; the tags are its words permuted,
stemmed and concatenated ("bee keeping" -> beekeeping, keepbee, keepingbee).
"""

from __future__ import annotations

import itertools
import re
import unicodedata

from omnisrc.classes.stem import is_gerund, singular_of, verb_of

EXCLUDED = re.compile(r"\((?:not\b|without\b|e\.g\.)[^()]*\)", re.IGNORECASE)
CAMEL_HUMP = re.compile(r"(?<=[^\W_][a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
FULL_STOP = re.compile(r"(?<!\d)\.|\.(?!\d)")  # any dot but a decimal point
QUOTE = re.compile(r"['\u2018\u2019\u02bc`\u00b4]")

LITTLE_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "from", "in", "into", "of", "on", "or", "over", "the", "to", "with")
)
PERMUTED_WORDS = 3
"""Names of more content words are only rotated: 24 orders of four words are noise."""
TAGGED_WORDS = 5
"""Names of more content words are sentences; they are only concatenated."""


def query_text(name: str) -> str:
    """The class name as a person would type it into a search box: lower case, words with one space between them.

    Brackets, quotes, slashes, underscores and CamelCase go. A bracket that says what the class is not, or only gives
    examples, goes with its words: "skiing (not slalom or crosscountry)" would find just that. Empty if the name has
    no letter and no digit.
    """
    name = unicodedata.normalize("NFKC", name)
    if not any(c.isalnum() for c in name):
        return ""
    kept = EXCLUDED.sub(" ", name)
    text = kept if any(c.isalnum() for c in kept) else name
    if not re.search(r"[\s_/+-]", text.strip()):
        text = CAMEL_HUMP.sub(" ", text)
    text = QUOTE.sub("", text).replace("&", " and ")
    text = FULL_STOP.sub(" ", text)
    spaced = "".join(c if unicodedata.category(c)[0] in "LMN" or c == "." else " " for c in text)
    return " ".join(spaced.lower().split())


def tags_of(query: str) -> tuple[str, ...]:
    """Tags, `[a-z0-9]+` each, for a query text: the plain concatenation first, then the others in order.

    Every order of the content words is concatenated, as it stands and with its nouns in the singular; a verb in -ing
    loses the ending where it comes first (people tag keepbee and beekeeping, not beekeep). Accents are folded; a text
    without Latin letters or digits has no tags.
    """
    words = tuple(word for word in map(_ascii, query.split()) if word)
    if not words:
        return ()
    content = tuple(word for word in words if word not in LITTLE_WORDS)
    if len(content) < 2:  # "put on" is not about "put"
        content = words
    plain = "".join(words)
    tags = {"".join(variant) for order in _orders(content) for variant in _stemmings(order)}
    return (plain, *sorted(tags - {plain}))


def _orders(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    if len(words) <= PERMUTED_WORDS:
        return list(itertools.permutations(words))
    if len(words) <= TAGGED_WORDS:
        return [words[i:] + words[:i] for i in range(len(words))]
    return [words]


def _stemmings(order: tuple[str, ...]) -> list[tuple[str, ...]]:
    singular = tuple(map(singular_of, order))
    if not is_gerund(order[0]):
        return [order, singular]
    verb = verb_of(order[0])
    return [order, singular, (verb, *order[1:]), (verb, *singular[1:])]


def _ascii(word: str) -> str:
    folded = unicodedata.normalize("NFKD", word.casefold())
    return re.sub(r"[^a-z0-9]", "", folded)
