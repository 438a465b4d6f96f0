"""Restores: planned, judged by the door, exact, atomic, and undoable.

Read `restore` first, then `source`, `plan`, `sequence`, `table_restore`, `safety`, `drill`;
`shown_sql` shows the statements. It reads sets from the shelf, and the room of sets does not know
it.
"""
