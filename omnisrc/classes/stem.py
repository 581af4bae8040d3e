"""English stems for tags: a gerund's verb (`dancing` -> `dance`) and a plural's singular (`leaves` -> `leaf`).

A Porter stemmer cuts words to stumps that nobody writes as a tag (`danc`, `juggl`); these rules give back a word.
"""

from __future__ import annotations

import re

VOWEL = re.compile("[aeiouy]")
DOUBLED = re.compile(r"[aeiouy](bb|dd|gg|kk|mm|nn|pp|rr|tt|vv)$")
ONE_SYLLABLE = re.compile(r"^(?:[^aeiou]*qu|[^aeiou]*)[aeiouy][^aeiouywx]$")
SILENT_E = re.compile(
    r"([cuvz]"  # danc, argu, carv, squeez
    r"|[^aeioulrw]l"  # juggl, wrestl
    r"|[aeiou]g|[dr]g|rs|ns|ps"  # massag, judg, charg, nurs, rins, collaps
    r"|[^aeiou]y[pz]|[aeiou]s"  # typ, clos
    r"|[^aeiou][aeiu]r(?<!er)|[^aeiou]or"  # prepar, measur, explor
    r"|[^aeiou]at|[^aeiou]id|[^aeiou]ik|[^aeiou]in|[^aeiou][iu]b|[^aeiou]ut|[^aeiou]ad|[^aeiou]od)$"
)

IRREGULAR_VERBS = {
    "adding": "add",
    "anchoring": "anchor",
    "arranging": "arrange",
    "bathing": "bathe",
    "boxing": "box",
    "breathing": "breathe",
    "challenging": "challenge",
    "changing": "change",
    "coloring": "color",
    "competing": "compete",
    "completing": "complete",
    "controlling": "control",
    "dying": "die",
    "egging": "egg",
    "exchanging": "exchange",
    "focusing": "focus",
    "geocaching": "geocache",
    "handwriting": "handwrite",
    "kitesurfing": "kitesurf",
    "landscaping": "landscape",
    "lounging": "lounge",
    "lunging": "lunge",
    "lying": "lie",
    "pasting": "paste",
    "plunging": "plunge",
    "pirouetting": "pirouette",
    "promoting": "promote",
    "soothing": "soothe",
    "snowkiting": "snowkite",
    "snowmobiling": "snowmobile",
    "sponging": "sponge",
    "tasting": "taste",
    "telephoning": "telephone",
    "tying": "tie",
    "untying": "untie",
    "voting": "vote",
    "wasting": "waste",
}

NOT_GERUNDS = re.compile(
    "anything|ceiling|clothing|earring|evening|everything|lightning|morning|nothing|something|wedding"
)

IRREGULAR_PLURALS = {
    "calves": "calf",
    "children": "child",
    "cookies": "cookie",
    "dominoes": "domino",
    "feet": "foot",
    "geese": "goose",
    "halves": "half",
    "knives": "knife",
    "leaves": "leaf",
    "lenses": "lens",
    "loaves": "loaf",
    "men": "man",
    "mice": "mouse",
    "movies": "movie",
    "people": "person",
    "potatoes": "potato",
    "scarves": "scarf",
    "shelves": "shelf",
    "skis": "ski",
    "teeth": "tooth",
    "tomatoes": "tomato",
    "wolves": "wolf",
    "women": "woman",
}

NOT_PLURALS = re.compile(r"(ss|us|is|ics)$|^(always|bagpipes|christmas|clothes|news|pants|scissors|shorts|towards)$")


def is_gerund(word: str) -> bool:
    """Whether `word` reads as a verb with -ing: `keeping`, but not `string` or `something`."""
    return word.endswith("ing") and VOWEL.search(word[:-3]) is not None and not NOT_GERUNDS.fullmatch(word)


def verb_of(gerund: str) -> str:
    """The verb of a gerund: keeping -> keep, dancing -> dance, running -> run."""
    if gerund in IRREGULAR_VERBS:
        return IRREGULAR_VERBS[gerund]
    stem = gerund.removesuffix("ing")
    if DOUBLED.search(stem):
        return stem[:-1]
    return stem + "e" if SILENT_E.search(stem) or ONE_SYLLABLE.match(stem) else stem


def singular_of(word: str) -> str:
    """The singular of a plural noun: balls -> ball, cherries -> cherry, knives -> knife; other words as they are."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if len(word) < 4 or not word.endswith("s") or NOT_PLURALS.search(word):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|zz)es$", word):
        return word[:-2]
    return word[:-1]
