"""What Alembic runs a migration in: the connection and the schema that ``store.migrating`` hands over."""

from alembic import context

_given = context.config.attributes
context.configure(
    connection=_given["connection"],
    target_metadata=_given["schema"].tables,
    version_table=_given["schema"].version_table,
)
context.run_migrations()
