"""Postgres: connections and transactions, SQL files, the embedded server, binary COPY by columns.

Read `connections` first, then `statements`, `embedded`, `credentials`, `columnar`. The package does
not know users' tables or rules: these belong to the catalog.
"""
