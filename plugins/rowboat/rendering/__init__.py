"""Views for a terminal and for task logs: tables and sentences made from the library's reports.

Read `elements` first, then `loads`, `backups`. A view only draws: it gets a dataclass that another
package made, and asks neither the database nor the disk.
"""
