"""Tests on names of files: whether a file is a CSV file, hidden, or still being written; and the
order in which files are loaded.
"""

import re

SUFFIXES = (".csv", ".tsv", ".txt")
PACKED = (".gz", ".zip")
# What programs put beside data. Not all names that begin with "_": such a file may hold rows.
_LEFT_OUT = re.compile(
    r"\..*|.*~|~\$.*|#.*#"  # hidden files, backups of editors, locks of Office, autosaves of Emacs
    r"|.*\.(part|partial|filepart|tmp|temp|crdownload|download|opdownload)"  # unfinished copies
    r"|_temporary|_success|_(started|committed)_\d+|_delta_log|_spark_metadata"  # Spark
    r"|thumbs\.db|desktop\.ini|\$recycle\.bin|system volume information"
    r"|__macosx|@eadir|lost\+found",  # what the file managers and file systems add
    re.IGNORECASE | re.DOTALL,
)


def is_left_out(name: str) -> bool:
    """Return whether a file or a folder is hidden, unfinished, or not meant for Rowboat."""
    return _LEFT_OUT.fullmatch(name) is not None


def stem_of(name: str) -> str | None:
    """Return a file's name without its endings, or None if they are not those of a CSV file."""
    for packed in PACKED:
        if name.lower().endswith(packed):
            bare = name[: -len(packed)]
            # a zip archive tells by itself what is in it: reports.zip may hold reports.csv
            return stem_of(bare) or (bare if packed == ".zip" else None)
    return name[:-4] if name.lower().endswith(SUFFIXES) else None


def natural_key(name: str) -> tuple[list[list[str | int]], str]:
    """Return the key that sorts files as people count: t.csv, t-2.csv, t-10.csv, t-10/1.csv.

    The last file wins where several have the same row, so a date or number must count as one.
    """
    *folders, last = name.split("/")
    parts = [*folders, stem_of(last) or last]
    # Texts and numbers alternate, beginning with a text, so like is always compared with like.
    return [[int(each) if each.isdecimal() else each for each in re.split(r"(\d+)", part)]
            for part in parts], name  # fmt: skip


def unprintable(name: str) -> str | None:
    """Return why a name cannot be shown, or None if it can."""
    return None if name.isprintable() else "has a name with unprintable characters"
