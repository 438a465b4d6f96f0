"""CSV: from the bytes of a file to records and typed cells, and from rows to CSV.

Read `text` first, then `recognise` (with `header` and `forms`), `dialect`, `splitter`, `records`,
`typed_cells`; `file_kinds` names what is no text, `writer` is the reverse.
The package uses no database: of a table it only needs the columns and their types.
"""
