"""Reads and keeps files and backups: in folders of this machine or S3 buckets.

Read `interfaces` first, then `opening`, `disk`, `disk_shelf`, `s3`, `s3_folder`, `s3_shelf`,
`file_names`. The package knows nothing of Postgres, tables or the contents of files: only names,
bytes and versions.
"""
