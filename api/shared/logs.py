"""The log: JSON lines on stdout and optionally in a file, including messages of libraries."""

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from rowboat.errors import SettingError
from rowboat.settings import settings

FILE = "api.log"


class LineWriter:
    """Writes lines to stdout and appends them to a file that several processes may share."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def msg(self, line: str) -> None:
        """Write a line.

        The newline is part of the same write: threads and processes write concurrently.
        """
        for file in filter(None, (sys.stdout, self._file)):
            file.write(line + "\n")
            file.flush()

    debug = info = warning = error = critical = msg


class Bridge(logging.Handler):
    """Logging handler that passes messages of libraries to structlog, so all lines are alike."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to the log."""
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), by=record.name, exc_info=record.exc_info)


def configure_log() -> None:
    """Configure logging of this process; raises SettingError if the file cannot be written."""
    folder = settings().api_log
    lines = LineWriter(_opened(folder) if folder else None)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )


def _opened(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / FILE).open("a", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingError(
            f"the log cannot be written to {folder}: {reason}", "correct ROWBOAT_API_LOG"
        ) from None
