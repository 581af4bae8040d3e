"""The attributions of samples, as the catalogue knows them now."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from db import catalogue
from omnisrc.shards.attribution import FIELDS, Row, attributions


def credits_of(session: Session, samples: Iterable[int]) -> list[Row]:
    """One row for each asset that led to the bytes of one of the samples."""
    assets = catalogue.leading_assets(session, samples)
    return attributions({name: getattr(asset, name) for name in FIELDS} for asset in assets)
