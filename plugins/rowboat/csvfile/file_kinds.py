"""Names files that are no text by their first bytes, whatever their names end in."""

from zipfile import ZipFile, ZipInfo

from rowboat.errors import FileRefused

_EMPTY_ZIP = b"PK\x05\x06"
_SHEET = "save the sheet as CSV"
_UNPACK = "unpack it: gzip and zip with one file inside are read packed, others are not"
_EXPORT = "export the data as CSV"

# First bytes (IANA media types, and the formats' own specifications), what they are, what to do.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "an archive or a workbook within an archive", "unpack the outer one"),
    (_EMPTY_ZIP, "an empty zip archive", "pack the file into it"),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    *((b"BZh%d1AY&SY" % level, "a bzip2 archive", _UNPACK) for level in range(1, 10)),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 archive", _UNPACK),
    (b"\x1f\x9d", "a compress (.Z) archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", _SHEET),
    (b"PAR1\x15", "a Parquet file", _EXPORT),
    (b"Obj\x01", "an AVRO file", _EXPORT),
    (b"ARROW1\x00\x00", "an Arrow file", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"%PDF-", "a PDF document", "ask its sender for the data as CSV"),
    (b"\x89PNG\r\n", "a PNG image", "ask its sender for the data as CSV"),
    (b"\xff\xd8\xff", "a JPEG image", "ask its sender for the data as CSV"),
    (b"{\\rtf", "an RTF document", "ask its sender for the data as CSV"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", "save the file as UTF-8"),
    (b"\x00\x00\xfe\xff", "text in UTF-32", "save the file as UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "run `git lfs pull`"),
)
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body", b"<table")
_PAGE = "download the file itself: this may be a page that says why it could not be had"
_DOCUMENT = {"[Content_Types].xml", "mimetype"}  # ECMA-376, part 2; OpenDocument 1.3, part 2
_OFFICE = {
    "xl/": ("an Excel workbook (.xlsx)", _SHEET),
    "word/": ("a Word document", "ask its sender for the data as CSV"),
    "META-INF/": ("an OpenDocument file", _SHEET),
}


def check_kind(start: bytes) -> None:
    """Raise FileRefused if a file that begins with these bytes is known to be no text."""
    for magic, name, hint in _KINDS:
        if start.startswith(magic):
            raise FileRefused(f"it is {name}", hint)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:16].lower().startswith(_PAGES):
        raise FileRefused("it is a page of HTML or XML", _PAGE)


def check_archive(archive: ZipFile) -> ZipInfo:
    """Return the only file in a zip archive; raises FileRefused if there are others, or if the
    archive is a document.
    """
    names = archive.namelist()
    if _DOCUMENT.intersection(names):
        found = (
            kind for folder, kind in _OFFICE.items() if any(n.startswith(folder) for n in names)
        )
        name, hint = next(found, ("a packed document", _EXPORT))
        raise FileRefused(f"it is {name}", hint)
    files = [
        each
        for each in archive.infolist()
        if not each.is_dir() and not each.filename.startswith("__MACOSX/")
    ]
    if len(files) != 1:
        some = ", ".join(each.filename for each in files[:3]) + (", …" if len(files) > 3 else "")
        raise FileRefused(
            f"it is a zip archive of {len(files)} files: {some}"
            if files
            else "its archive is empty",
            "unpack it: only an archive of one file is read packed",
        )
    if files[0].flag_bits & 1:
        raise FileRefused("its zip archive is encrypted", "unpack it yourself")
    return files[0]
