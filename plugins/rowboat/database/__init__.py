"""Postgres: connections and transactions, SQL files, the embedded server, binary COPY by columns.

Read `connections` first, then `statements`, `embedded`, `credentials`, `columnar`. It knows no
table of the user's, and no rule: those are the catalog's.
"""
