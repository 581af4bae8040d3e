"""Which asset a blob counts for, where several led to it: the stored one, so that no sample is counted twice."""

from __future__ import annotations

from sqlalchemy import Subquery, case, func, select

from db.models import Asset


def origins() -> Subquery:
    """SQL: (asset_id, blob_id), one row a blob; a duplicate stands in where the stored asset was taken down."""
    order = case((Asset.state == "stored", 0), (Asset.state == "duplicate", 1), else_=2)
    place = func.row_number().over(partition_by=Asset.blob_id, order_by=(order, Asset.id))
    ranked = (
        select(Asset.id.label("asset_id"), Asset.blob_id, place.label("place"))
        .where(Asset.blob_id.is_not(None))
        .subquery()
    )
    return select(ranked.c.asset_id, ranked.c.blob_id).where(ranked.c.place == 1).subquery()
