"""Reading: listings, single rows, their relatives, their origin, and the audit.

Read `listing_params` first, then `filters`, `ordering`, `reading`, `relatives`, `trace`,
`audit_log`. It writes nothing.
"""
