"""What the catalogue and manifests call what a clip's label is: one class, or any number of them."""

from __future__ import annotations

from typing import Final

RECOGNITION: Final = "recognition"
MULTI_LABEL: Final = "multi-label"
