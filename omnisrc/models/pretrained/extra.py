"""The optional package transformers, imported where it is needed and not before."""

from __future__ import annotations

import importlib
from typing import Any

from omnisrc.errors import UserError


def transformers(what: str) -> Any:
    """The package `transformers`, for `what` (named in the sentence). Raises UserError where it is not installed."""
    try:
        library = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise UserError(
            f"{what} needs the package transformers; install it with `pip install 'omnisrc[transformers]'`."
        ) from None
    library.utils.logging.disable_progress_bar()  # what is loaded here is loaded in seconds, and often by workers
    library.utils.logging.set_verbosity_error()
    return library
