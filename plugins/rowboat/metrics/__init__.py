"""Metrics: each a SQL file with a heading, its answer, and its chart.

Read `definitions` first, then `parameters`, `figures`, `series`, `charts`, `line_chart`, `svg`,
`workbook`, `diagram`. It knows nothing of files, backups or access.
"""
