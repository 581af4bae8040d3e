"""Going on while a server is away: what failed is said once, and so is that it is over."""

from __future__ import annotations

from collections.abc import Callable


class Patience:
    """Runs steps that may fail with `errors`, and tells `say` when that begins and when it ends."""

    def __init__(self, say: Callable[[str], None], *errors: type[Exception]) -> None:
        self._say = say
        self._errors = errors
        self._away: str | None = None

    def attempt(self, what: str, step: Callable[[], object]) -> bool:
        """Whether `step` went through. `what` names it: `The broker`."""
        try:
            step()
        except self._errors as error:
            if self._away is None:
                self._say(f"{what} cannot be used: {_first_line(error)} It is tried again until it can be.")
            self._away = what
            return False
        if self._away is not None:
            self._away = None
            self._say(f"{what} can be used again.")
        return True


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".") + "."
