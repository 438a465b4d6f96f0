"""What the name of a file tells: whether it is a CSV file, and whether somebody still writes it."""

SUFFIXES = (".csv", ".tsv", ".txt")
PACKED = ".gz"
_UNFINISHED = (".part", ".tmp", ".crdownload", "~")


def is_left_out(name: str) -> bool:
    """Tell whether a file or a folder is hidden or unfinished."""
    return name.startswith(".") or name.endswith(_UNFINISHED)


def stem_of(name: str) -> str | None:
    """Return a file's name without its endings, or None where they are not those of a CSV."""
    bare = name[: -len(PACKED)] if name.lower().endswith(PACKED) else name
    return bare[:-4] if bare.lower().endswith(SUFFIXES) else None


def unprintable(name: str) -> str | None:
    """Tell where a name could not be shown."""
    return None if name.isprintable() else "has a name with unprintable characters"
