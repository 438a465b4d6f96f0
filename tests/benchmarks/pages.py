"""The console's pages over many rows: files, quarantine, audit, tables, metrics.

    .venv/bin/python -m tests.benchmarks.pages

Builds its own system (1,000 files, 100,000 refused rows, 100,000 entries of the audit, a million
hires), serves it as `rowboat serve` does, signs in and asks for each page in turn; prints the
median, the least and the greatest of its times. A page that does not say what it holds fails.
"""

import re
import statistics
import time
from contextlib import closing

import httpx

from tests.benchmarks.places import TABLE, place
from tests.benchmarks.serving import key, serving

TIMES = 20
FILES, REFUSED, ENTRIES, HIRES = 1_000, 100_000, 100_000, 1_000_000
ROWS = f"""
insert into ingest_status.ingest_status (file_name, table_name, state, actor)
select format('jobs-%%s.csv', to_char(n, 'FM0000')), 'hired_employees.jobs', 'failed', 'benchmark'
from generate_series(0, {FILES - 1}) as n;
with loaded as (
    insert into ingest_status.loads (
        table_name, source, source_name, actor, read, inserted, updated, unchanged, rejected
    ) values ('{TABLE}', 'file', 'many.csv', 'benchmark', {REFUSED}, 0, 0, 0, {REFUSED})
    returning id
)
insert into ingest_status.rejected_rows
    (load_id, table_name, source, source_name, line, raw, reasons)
select
    l.id, '{TABLE}', 'file', 'many.csv', n, convert_to(n || ',Ann,soon,1,1', 'UTF8'),
    jsonb_build_array(jsonb_build_object(
        'rule', (array['type', 'required', 'parent'])[1 + n %% 3], 'column', 'hired_date',
        'message', 'hired_date ''soon'' is not a time'
    ))
from loaded as l, generate_series(1, {REFUSED}) as n;
insert into rowboat.audit (at, actor, request, action, table_name, before, after)
select now() - n * interval '1 second', 'benchmark', to_hex(n), 'insert', '{TABLE}', '[]',
    json_build_array(json_build_object('id', n))
from generate_series(1, {ENTRIES}) as n;
analyze;
"""
PAGES = {
    "/files": f"of {FILES:,}",
    "/quarantine": f"{REFUSED // 3:,}",
    f"/quarantine?table={TABLE}&rule=type": "soon",
    "/audit": "benchmark",
    "/tables": "hired_employees",
    "/tables/hired_employees": "employee_name",
    "/?year=2021": "department",
}


def main() -> None:
    """Measure every page."""
    with place() as at:
        for number in range(FILES):
            (at.raw / f"jobs-{number:04}.csv").write_text("1,x\n")
        at.fill(HIRES)
        at.run(ROWS, {})
        token = key(at, "operate")
        with serving() as address, closing(signed_in(address, token)) as console:
            for page, words in PAGES.items():
                measure(console, page, words)


def measure(console: httpx.Client, page: str, words: str) -> None:
    """Print how long a page takes."""
    times = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        answer = console.get(page)
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text[:500]
        assert words in answer.text, f"{page} does not say {words}"
    first, *times = times
    told = f"{statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})"
    print(f"{page:55} {told}, the first {first:.0f} ms", flush=True)


def signed_in(address: str, token: str) -> httpx.Client:
    """Return a browser without a screen that has signed in."""
    console = httpx.Client(base_url=address, timeout=60, trust_env=False, follow_redirects=True)
    form = re.search('name="csrf" value="([0-9a-f]+)"', console.get("/sign-in").text)
    assert form
    answer = console.post("/sign-in", data={"csrf": form[1], "key": token, "next": "/keys"})
    assert answer.status_code == 200, answer.text[:500]
    return console


if __name__ == "__main__":
    main()
