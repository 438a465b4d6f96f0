"""CSV: from the bytes of a file to records and typed cells, and from rows to CSV.

Read `text` first, then `dialect`, `splitter`, `records`, `typed_cells`; `writer` is the reverse.
The package uses no database: of a table it only needs the columns and their types.
"""
