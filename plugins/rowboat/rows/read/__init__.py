"""Rows out: a listing, one row, its relatives, its trace, its history.

Read `listing_params` first, then `filters`, `ordering`, `reading`, `relatives`, `trace`,
`audit_log`. It writes nothing.
"""
