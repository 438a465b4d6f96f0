"""What has changed since a file was loaded: its name, its records, or its table.

Read `known_content` first, then `earlier_records`, `dictionary`, `lost_rows`; each stands alone.
The package knows nothing of how a file is read and passed through the door.
"""
