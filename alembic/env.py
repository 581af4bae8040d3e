"""Runs the migrations on the connection that db/schema.py hands over, or on the URL given with -x url=..."""

from __future__ import annotations

from alembic import context

from db.models import Base
from db.session import connect_url


def run(connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with connect_url(context.get_x_argument(as_dictionary=True)["url"]).begin() as opened:
        run(opened)
