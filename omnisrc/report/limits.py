"""How much the page shows, so that it stays readable and small whatever the study holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Largest numbers of things shown; what is left out is counted beside what is shown."""

    examples: int = 6  # kept samples of a class, and as many dropped ones
    example_classes: int = 40  # classes with examples, evenly spaced over the list
    pairs: int = 12  # of near-duplicates, and as many of contaminated pairs
    urls: int = 3  # of each error class
    runs: int = 12  # with training curves, the newest
    evaluations: int = 500  # read for the accuracy table, the newest
    confused: int = 15  # pairs of classes
    matrix: int = 40  # classes up to which a confusion matrix names them
    changes: int = 400  # classes in the table of changes between two runs
    thumbnail: int = 112  # short side in pixels
