"""What the catalogue and manifests call what a clip's label is: one class, or any number of them."""

from __future__ import annotations

RECOGNITION = "recognition"
MULTI_LABEL = "multi-label"
