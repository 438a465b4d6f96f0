"""URL converter for table names."""

from werkzeug.routing import BaseConverter


class TableName(BaseConverter):
    """A table name that is neither the first word of another address nor a year.

    Without this, `POST /api/metrics` would be an insert into a table `metrics` and not a 405. A
    table with such a name is addressed by its full name.
    """

    regex = r"(?!(?:backups|batch|ingest|metrics|rejects|restores|tables|[0-9]+)\Z)[^/]+"
    part_isolating = True  # match one path segment only
