"""Where files and backups are kept: a folder of this machine or a bucket on S3.

Read `interfaces` first, then `opening`, `disk`, `disk_shelf`, `s3`, `s3_folder`, `s3_shelf`,
`file_names`. It knows nothing of Postgres, tables or what a file says: only names, bytes and
versions.
"""
