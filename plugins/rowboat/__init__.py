"""Rowboat: keeps CSV files, a Postgres database and AVRO backups in step."""

__version__ = "0.1.0"
