"""The endpoint of a search service, as the settings name it."""

from __future__ import annotations

from omnisrc.errors import ItemError, UserError
from omnisrc.web.urls import parse_url


def site_of(name: str, endpoint: str) -> str:
    """`host:port` of the endpoint of provider `name`. Raises UserError where it is no URL."""
    try:
        return parse_url(endpoint).site
    except ItemError as error:
        raise UserError(
            f"The setting providers.{name}.endpoint is {endpoint!r}, which is no http or https URL."
        ) from error
