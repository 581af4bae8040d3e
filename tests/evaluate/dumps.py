"""Score tables for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from omnisrc.evaluate.scores import ScoreTable

CLASSES = ("dive", "jump", "run", "swing")


def dump(predicted: list[int], labels: list[int], **more: Any) -> ScoreTable:
    """A table whose likeliest class is `predicted`, at 0.7; clips are numbered unless `clips` names them."""
    count = len(labels)
    probabilities = np.full((count, len(CLASSES)), 0.1, np.float32)
    probabilities[np.arange(count), predicted] = 0.7
    facts: dict[str, Any] = {
        "samples": np.arange(100, 100 + count), "clips": [f"class/{at}" for at in range(count)],
        "groups": [""] * count, "paths": ["target/0.tar"] * count, "keys": [f"k{at}" for at in range(count)],
        "labels": np.array(labels, np.int64), "probabilities": probabilities, "logits": np.log(probabilities),
        "classes": CLASSES, "about": {"expected": count, "split": "test", "manifest_sha256": "a" * 64},
    }  # fmt: skip
    return ScoreTable(**{**facts, **more})
