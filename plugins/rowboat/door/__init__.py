"""The one door into a table: stage, judge, match, merge, quarantine, report.

Read `passage` first, then `stage`, `context`, `judge`, `match`, `merge`, `quarantine`,
`rejected_rows`, `dependents`. It does not know where rows come from: a file, a request and a backup
are all a `Cargo`.
"""
