"""Tests on names of files: whether a file is a CSV file, hidden, or still being written."""

SUFFIXES = (".csv", ".tsv", ".txt")
PACKED = ".gz"
_UNFINISHED = (".part", ".tmp", ".crdownload", "~")


def is_left_out(name: str) -> bool:
    """Return whether a file or a folder is hidden or unfinished."""
    return name.startswith(".") or name.endswith(_UNFINISHED)


def stem_of(name: str) -> str | None:
    """Return a file's name without its endings, or None if they are not those of a CSV file."""
    bare = name[: -len(PACKED)] if name.lower().endswith(PACKED) else name
    return bare[:-4] if bare.lower().endswith(SUFFIXES) else None


def unprintable(name: str) -> str | None:
    """Return why a name cannot be shown, or None if it can."""
    return None if name.isprintable() else "has a name with unprintable characters"
