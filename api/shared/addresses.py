"""What may stand for a table in an address."""

from werkzeug.routing import BaseConverter


class TableName(BaseConverter):
    """A table's name, but none of the words by which other addresses begin, and no year.

    So those take their own methods and no others. A table of such a name has its full name.
    """

    regex = r"(?!(?:backups|batch|ingest|metrics|rejects|restores|tables|[0-9]+)\Z)[^/]+"
    part_isolating = True  # the pattern sees its own part of the address only
