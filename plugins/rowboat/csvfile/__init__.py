"""CSV: from the bytes of a file to records and typed cells, and from rows to CSV.

Read `text` first, then `dialect`, `splitter`, `records`, `typed_cells`; `writer` is the way back.
It knows no database: a table is asked for its columns and their types only.
"""
