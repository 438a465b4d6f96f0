"""Quarantine: refused rows by fault; correct them one by one, judge them again, discard them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from flask import Blueprint, Response, g, render_template, request, stream_with_context, url_for
from pydantic import Field

from api.actions.batches import wake_briefly
from api.console.elements import frame
from api.console.elements.marks import exact, marked
from api.shared import forms
from api.shared.access import scope
from api.shared.context import context, reading, the_table, writing
from api.shared.problems import Problem
from rowboat.catalog.tables import Table
from rowboat.csvfile.records import Reason
from rowboat.database.connections import Cursor, Steps
from rowboat.door import quarantine, rejected_rows
from rowboat.door.passage import Report
from rowboat.door.rejected_rows import RejectDetail, RejectFilter
from rowboat.errors import RowRefused, StillRefused, UnknownTable
from rowboat.ingest import rejudge
from rowboat.rows.write import correction
from rowboat.rows.write.correction import Draft

blueprint = Blueprint("quarantine", __name__)
blueprint.add_app_template_filter(exact)
blueprint.add_app_template_test(marked)

SECONDS = 10.0  # of judging rows again per request; the user then continues with the rest
SHOWN = 20_000  # bytes of a row shown in a list
CORRECTED = 100_000  # bytes of the largest row that can be corrected in a form
_AT_ONCE = 1000  # rows fetched at once for a CSV file
_NEWLINE = re.compile(r"\r\n?")
_ID = "<int(max=9223372036854775807):reject_id>"
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class QuarantineQuery(forms.Form, strict=False):
    """Which refused rows to show or judge again.

    `after` is the ID of the last row of the previous page, `judged` that of the last row that was
    judged again. An empty `column` selects faults that concern no column.
    """

    table: Text | None = None
    rule: Text | None = None
    column: Text | None = None
    file: Text | None = None
    after: int = Field(0, ge=0, lt=2**63)
    judged: int = Field(0, ge=0, lt=2**63)
    limit: int = Field(50, ge=1, le=200)
    safe: bool = False

    @property
    def filters(self) -> dict[str, Any]:
        """The filters as query parameters."""
        return self.model_dump(include={"table", "rule", "column", "file"}, exclude_none=True)

    def which(self, cursor: Cursor) -> RejectFilter:
        """Return the filter for the wanted rows among those that the caller may see."""
        tables = [_full_name(cursor, self.table)] if self.table else _seen()
        fault: dict[str, str | None] = {"rule": self.rule} if self.rule else {}
        if self.column is not None:
            fault["column"] = self.column or None
        return RejectFilter(tables, fault or None, self.file)


class DiscardForm(forms.Form, strict=False, str_strip_whitespace=True):
    """Why rows are discarded, and how many of them the page showed."""

    because: Text = Field(min_length=1)
    rows: int = 1


@blueprint.get("/quarantine")
@scope("write")  # as for /api/rejects: refused rows may be private
def page() -> str:
    """Show the groups of refused rows, or the rows of one group."""
    asked = forms.parse_query(QuarantineQuery)
    return _rows(asked) if asked.filters else _groups()


@blueprint.get("/quarantine.csv")
@scope("write")
def file() -> Response:
    """Return all rows that match the filters as CSV."""
    asked = forms.parse_query(QuarantineQuery)
    with reading() as cursor:
        which = asked.which(cursor)
    headers = {"Content-Disposition": 'attachment; filename="quarantine.csv"'}
    pieces = stream_with_context(_pieces(which, asked.safe))
    return Response(pieces, headers=headers, content_type="text/csv; charset=utf-8")


@blueprint.post("/quarantine/retry")
@scope("write")
def again() -> Response:
    """Judge the rows of a group again, for at most ten seconds."""
    asked = forms.parse_query(QuarantineQuery)
    with reading() as cursor:
        table, which = the_table(cursor, asked.table or ""), asked.which(cursor)
    report, rest = _judge(table, which, asked.judged)
    said = (
        f"{report.read:,} {'row' if report.read == 1 else 'rows'} judged again: "
        f"{report.read - report.rejected:,} loaded, {report.rejected:,} still refused."
    )
    if rest:
        said += " The others have not been judged yet: continue with them."
    return frame.redirect_to(url_for(".page", **asked.filters, judged=rest), said)


@blueprint.post("/quarantine/discard")
@scope("write")
def discard() -> Response:
    """Discard the rows of a group, if they are still as many as the page showed."""
    asked, form = forms.parse_query(QuarantineQuery), _discard_form()
    if not asked.filters:
        raise Problem(422, "no rows were chosen", "choose a group of the quarantine first")

    def work(cursor: Cursor) -> int:
        found = _discard(cursor, asked.which(cursor), form)
        if found != form.rows:  # those that were added have not been looked at
            hint = "go back and look at them again; nothing was discarded"
            raise Problem(409, "these refused rows have changed meanwhile", hint)
        return found

    rows = writing(work)
    said = f"{rows:,} {'row has' if rows == 1 else 'rows have'} been discarded."
    return frame.redirect_to(url_for(".page", **asked.filters), said)


@blueprint.get(f"/quarantine/{_ID}")
@scope("write")
def row(reject_id: int) -> str:
    """Show a refused row and the form to correct it."""
    return _Desk(reject_id).page()


@blueprint.post(f"/quarantine/{_ID}")
@scope("write")
def correct(reject_id: int) -> Response | tuple[str, int]:
    """Load a row as corrected, or show why it is still refused."""
    return _Desk(reject_id).correct()


@blueprint.post(f"/quarantine/{_ID}/retry")
@scope("write")
def once_more(reject_id: int) -> Response:
    """Judge a row again, unchanged."""
    desk = _Desk(reject_id)
    if desk.table is None:
        raise UnknownTable(f"the table {desk.case.table_name} no longer exists")
    report, _ = _judge(desk.table, RejectFilter(id=reject_id), 0)
    if not report.read or report.rejected:
        return frame.redirect_to(desk.address, "The row was judged again and is still refused.")
    return frame.redirect_to(desk.back, f"{desk.case.place} has been loaded.")


@blueprint.post(f"/quarantine/{_ID}/discard")
@scope("write")
def discard_one(reject_id: int) -> Response:
    """Discard a row."""
    desk, form = _Desk(reject_id), _discard_form()
    if not writing(lambda cursor: _discard(cursor, RejectFilter(id=reject_id), form)):
        return frame.redirect_to(desk.address, "This row can no longer be discarded.")
    return frame.redirect_to(desk.back, f"{desk.case.place} has been discarded.")


class _Desk:
    """A refused row that is being corrected: the row, its table, and a draft of the correction.

    There is no draft if the table was dropped, or the row is settled or too long for a form.
    """

    def __init__(self, reject_id: int) -> None:
        self.asked = forms.parse_query(QuarantineQuery)
        with reading() as cursor:
            self.case: RejectDetail = rejected_rows.find_reject(cursor, reject_id)
            g.caller.check(self.case.table_name)
            catalog = context().catalog(cursor)
            self.table: Table | None = catalog.by_name.get(self.case.table_name)
            self.draft: Draft | None = None
            if self.table and not self.case.settled_at and len(self.case.raw) <= CORRECTED:
                self.draft = correction.draft_correction(cursor, self.table, self.case)
        self.back = url_for(".page", **self.asked.filters)
        self.address = url_for(".row", reject_id=reject_id, **self.asked.filters)

    def page(self, reasons: Sequence[Reason] = ()) -> str:
        """Return the page; `reasons` say why the correction that was sent is refused."""
        columns = self.draft.columns(self.table) if self.draft and self.table else []
        beside: dict[str, list[Reason]] = {}
        for reason in reasons:
            beside.setdefault((reason.column or "").partition(", ")[0], []).append(reason)
        cut = {column.name for column in columns} if self.draft and self.draft.cells else set()
        return render_template(
            "quarantine_row.html",
            case=self.case,
            asked=self.asked,
            draft=self.draft,
            table=self.table,
            columns=columns,
            sent=request.form,
            beside=beside,
            elsewhere=[each for name in set(beside) - cut for each in beside[name]],
            hints=rejected_rows.HINTS,
        )

    def correct(self) -> Response | tuple[str, int]:
        """Load the row as corrected."""
        draft, table = self.draft, self.table
        if draft is None or table is None:
            return frame.redirect_to(self.address, "This row can no longer be corrected here.")
        try:
            cells = self._cells(draft, table)
            report = writing(
                lambda cursor: correction.correct_row(
                    cursor, table, self.case, draft.cells or {}, cells, g.caller.id, g.request
                )
            )
        except StillRefused as refused:
            return self.page([_reason(each) for each in refused.errors]), 422
        except RowRefused as refused:
            return self.page([Reason("check", None, refused.fact)]), 422
        _wake(table, report)
        return frame.redirect_to(
            self.back, f"{self.case.place} has been loaded as corrected: {_done(report)}."
        )

    def _cells(self, draft: Draft, table: Table) -> dict[str, str | None]:
        if draft.cells is None:
            return correction.read_correction(
                table, draft, _typed(request.form.get("line", ""), draft.text)
            )
        cells = dict(draft.cells)
        for name in [column.name for column in draft.columns(table)]:
            before = draft.cells.get(name)
            text = _typed(request.form.get(f"cell.{name}", before or ""), before)
            if name in cells or text:
                cells[name] = text or (before if text == before else None)
        return cells


def _reason(told: Mapping[str, str | None]) -> Reason:
    return Reason(str(told["rule"]), told["column"], str(told["message"]))


def _groups() -> str:
    with reading() as cursor:
        found, total = rejected_rows.group_rejects(cursor, _seen())
        settled = rejected_rows.count_settled(cursor, _seen())
    return render_template(
        "quarantine.html", groups=found, total=total, settled=settled, hints=rejected_rows.HINTS
    )


def _rows(asked: QuarantineQuery) -> str:
    with reading() as cursor:
        which = asked.which(cursor)
        found = rejected_rows.page_of_starts(cursor, which, asked.after, asked.limit, SHOWN)
        counts = rejected_rows.count_rejects(cursor, which)
        settled = rejected_rows.count_settled(cursor, which.tables)
        known = context().catalog(cursor).by_name
    total = sum(each.rows for each in counts)
    return render_template(
        "quarantine_rows.html",
        asked=asked,
        rows=found,
        counts=counts,
        total=total,
        retried=counts[0] if len(counts) == 1 and counts[0].table_name in known else None,
        after=found[-1].id if len(found) == asked.limit else None,
        settled=settled,
        hints=rejected_rows.HINTS,
    )


def _pieces(which: RejectFilter, safe: bool) -> Iterator[bytes]:
    """Yield all rows as CSV, page by page; no connection is held while a page is being sent."""
    after, header = 0, True
    while True:
        with reading() as cursor:
            found = rejected_rows.page_of_rejects(cursor, which, after, _AT_ONCE)
        if found or header:
            yield rejected_rows.rejects_as_csv(found, safe, header)
        if len(found) < _AT_ONCE:
            return
        after, header = found[-1].id, False


def _judge(table: Table, which: RejectFilter, after: int) -> tuple[Report, int | None]:
    """Judge rows of a table again, then those that waited for the loaded ones as parents.

    Returns the report and the ID of the last row judged, or None if no row is left.
    """
    with reading() as cursor:
        catalog = context().catalog(cursor)
    who = g.caller.id, g.request
    with context().connection() as connection:
        steps = Steps(connection)
        done = rejudge.rejudge_in_time(steps, catalog, table, *who, which, after, SECONDS)
    _wake(table, done[0])
    return done


def _wake(table: Table, report: Report) -> None:
    with reading() as cursor:
        catalog = context().catalog(cursor)
    if report.inserted:
        wake_briefly(
            lambda steps: rejudge.rejudge_children(steps, catalog, table, g.caller.id, g.request)
        )


def _discard_form() -> DiscardForm:
    given = {name: request.form[name] for name in DiscardForm.model_fields if name in request.form}
    return forms.fill_form(DiscardForm, given)


def _discard(cursor: Cursor, which: RejectFilter, form: DiscardForm) -> int:
    done = quarantine.discard_rejects(cursor, which, g.caller.id, form.because)
    return sum(done.values())


def _full_name(cursor: Cursor, name: str) -> str:
    """Return the full name of a table; dropped tables may still have refused rows."""
    try:
        return the_table(cursor, name).full_name
    except UnknownTable:
        g.caller.check(name)
        return name


def _seen() -> list[str] | None:
    return None if g.caller.tables is None else sorted(g.caller.tables)


def _typed(text: str, before: str | None) -> str:
    """Return the text of a form field, or the text before if only its newlines differ.

    Browsers send all newlines as CRLF, so an untouched text would otherwise look changed.
    """
    plain = _NEWLINE.sub("\n", text)
    return before if before is not None and plain == _NEWLINE.sub("\n", before) else plain


def _done(report: Report) -> str:
    if report.unchanged:
        return "the table already has the same row"
    return "it updated the row with its key" if report.updated else "it is a new row"
