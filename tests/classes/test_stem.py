import pytest

from omnisrc.classes.stem import is_gerund, singular_of, verb_of

VERBS = {
    "keeping": "keep", "abseiling": "abseil", "dancing": "dance", "running": "run", "swimming": "swim",
    "rolling": "roll", "kissing": "kiss", "juggling": "juggle", "hurling": "hurl", "playing": "play", "tying": "tie",
    "massaging": "massage", "jogging": "jog", "singing": "sing", "using": "use", "skiing": "ski", "writing": "write",
    "waiting": "wait", "shearing": "shear", "answering": "answer", "preparing": "prepare", "celebrating": "celebrate",
    "canoeing": "canoe", "sneezing": "sneeze", "squatting": "squat", "arguing": "argue", "boxing": "box",
    "opening": "open", "exploring": "explore", "windsurfing": "windsurf", "paragliding": "paraglide",
    "buying": "buy", "typing": "type", "sewing": "sew", "rinsing": "rinse", "collapsing": "collapse",
}  # fmt: skip


@pytest.mark.parametrize(("gerund", "verb"), VERBS.items())
def test_a_gerund_gives_the_verb_a_person_would_write(gerund, verb):
    assert is_gerund(gerund)
    assert verb_of(gerund) == verb


@pytest.mark.parametrize("word", ["string", "swing", "king", "something", "wedding", "clothing", "bee", "ing"])
def test_other_words_in_ing_are_no_gerunds(word):
    assert not is_gerund(word)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("balls", "ball"), ("cherries", "cherry"), ("knives", "knife"), ("dishes", "dish"), ("glasses", "glass"),
     ("boxes", "box"), ("teeth", "tooth"), ("eyes", "eye"), ("puzzles", "puzzle"), ("pancakes", "pancake")],
)  # fmt: skip
def test_a_plural_gives_its_singular(plural, singular):
    assert singular_of(plural) == singular


@pytest.mark.parametrize("word", ["tennis", "gymnastics", "cross", "discus", "bus", "scissors", "gas", "bee"])
def test_words_that_are_no_plurals_stay(word):
    assert singular_of(word) == word
