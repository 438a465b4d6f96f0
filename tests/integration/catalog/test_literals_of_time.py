"""Cells of days, times and intervals: what is stored, and the exact words for what is refused."""

from collections.abc import Callable

from tests.conftest import Boat
from tests.support.literal_cells import Cells, check_cells, each_kind

TYPES: list[tuple[str, Cells, Cells]] = [
    (
        "date",
        {"2024-02-29": "2024-02-29", "0001-01-01": "0001-01-01",
         "1996-07-04 00:00:00.000": "1996-07-04", "1996-07-04T00:00:00": "1996-07-04",
         "1996-07-04 00:00": "1996-07-04", "1996-07-04 00:00:00.": "1996-07-04",
         " 2024-02-29 ": "2024-02-29"},
        {"2023-02-29": "'2023-02-29' is not a day of the calendar",
         "2023-13-01": "'2023-13-01' is not a day of the calendar",
         "2023-02-29 00:00:00": "'2023-02-29 00:00:00' is not a day of the calendar",
         "1996-07-04 00:00:00.001":
             "'1996-07-04 00:00:00.001' has a time of day: write only the day",
         "1996-07-04T12:00": "'1996-07-04T12:00' has a time of day: write only the day",
         "2023-01-01T00:00:00Z": "'2023-01-01T00:00:00Z' has a time of day: write only the day",
         "2023-01-01 00:00+02": "'2023-01-01 00:00+02' has a time of day: write only the day",
         "02.03.2018":
             "'02.03.2018' is not an ISO 8601 date: write the year first, as in 2018-03-31",
         "03/04/2018":
             "'03/04/2018' is not an ISO 8601 date: write the year first, as in 2018-03-31",
         "3-4-18": "'3-4-18' is not an ISO 8601 date: write the year first, as in 2018-03-31",
         "yesterday": "'yesterday' is not an ISO 8601 date", "  ": "",
         "20230101": "'20230101' is not an ISO 8601 date",
         "2023-1-1": "'2023-1-1' is not an ISO 8601 date",
         "0044-03-15 BC": "'0044-03-15 BC' is not an ISO 8601 date",
         "infinity": "'infinity' is not an ISO 8601 date"},
    ),
    (
        "time",
        {"23:59": "23:59:00", "01:02:03.5": "01:02:03.5", "24:00:00": "24:00:00",
         "01:02:03.1234560": "01:02:03.123456", " 01:02 ": "01:02:00"},
        {"25:00": "'25:00' is not a time of day", "1:00": "'1:00' is not an ISO 8601 time of day",
         "24:00:01": "'24:00:01' is not a time of day",
         "23:59:60": "'23:59:60' has second 60: write second 59 or the next minute",
         "01:02:03.1234567":
             "'01:02:03.1234567' is more digits than time without time zone holds",
         "now": "'now' is not an ISO 8601 time of day", "allballs":
             "'allballs' is not an ISO 8601 time of day",
         "04:05 PM": "'04:05 PM' is not an ISO 8601 time of day"},
    ),
    (
        "time(0)",
        {"01:02:03": "01:02:03", "01:02:03.000": "01:02:03"},
        {"01:02:03.5": "'01:02:03.5' is more digits than time(0) without time zone holds",
         "23:59:59.9": "'23:59:59.9' is more digits than time(0) without time zone holds"},
    ),
    (
        "timetz",
        {"23:59": "23:59:00+00", "01:02:03.5Z": "01:02:03.5+00", "01:02+05:30": "01:02:00+05:30",
         "24:00:00+01": "24:00:00+01"},
        {"now": "'now' is not an ISO 8601 time of day",
         "04:05 PM": "'04:05 PM' is not an ISO 8601 time of day",
         "04:05 EST": "'04:05 EST' is not an ISO 8601 time of day",
         "2021-01-01 04:05 Europe/Madrid":
             "'2021-01-01 04:05 Europe/Madrid' is not an ISO 8601 time of day",
         "23:59:60Z": "'23:59:60Z' has second 60: write second 59 or the next minute"},
    ),
    (
        "timetz(1)",
        {"01:02:03.50+01": "01:02:03.5+01"},
        {"01:02:03.55+01": "'01:02:03.55+01' is more digits than time(1) with time zone holds"},
    ),
    (
        "timestamp",
        {"2023-01-02T03:04:05": "2023-01-02 03:04:05", "2023-01-02": "2023-01-02 00:00:00",
         "2023-01-02 03:04:05.123456": "2023-01-02 03:04:05.123456",
         "2023-01-02T03:04:05.1230000": "2023-01-02 03:04:05.123",
         " 2023-01-02 03:04:05": "2023-01-02 03:04:05"},
        {"2023-01-02T03:04:05Z":
             "'2023-01-02T03:04:05Z' is not an ISO 8601 timestamp without an offset",
         "2023-01-02T03:04:05.1234567": "'2023-01-02T03:04:05.1234567' is more digits"
             " than timestamp without time zone holds",
         "2023-12-31T23:59:60":
             "'2023-12-31T23:59:60' has second 60: write second 59 or the next minute",
         "2023-12-31T24:00:00": "'2023-12-31T24:00:00' has hour 24: write 00:00 of the next day",
         "2023-12-31 24:00": "'2023-12-31 24:00' has hour 24: write 00:00 of the next day",
         "03/04/2018 10:00": "'03/04/2018 10:00' is not an ISO 8601 timestamp without an offset:"
             " write the year first, as in 2018-03-31",
         "2023-02-30T00:00": "'2023-02-30T00:00' is not a day of the calendar",
         "today": "'today' is not an ISO 8601 timestamp without an offset"},
    ),
    (
        "timestamp(0)",
        {"2021-12-31T23:59:59": "2021-12-31 23:59:59", "2021-12-31T23:59:59.00":
             "2021-12-31 23:59:59"},
        {"2021-12-31T23:59:59.9":
             "'2021-12-31T23:59:59.9' is more digits than timestamp(0) without time zone holds",
         "2021-12-31T23:59:59.01":
             "'2021-12-31T23:59:59.01' is more digits than timestamp(0) without time zone holds"},
    ),
    (
        "timestamptz",
        {"2023-01-02T03:04:05+02:00": "2023-01-02 01:04:05+00",
         "2023-01-02 03:04": "2023-01-02 03:04:00+00"},
        {"tomorrow": "'tomorrow' is not an ISO 8601 timestamp",
         "2016-12-31T23:59:60Z":
             "'2016-12-31T23:59:60Z' has second 60: write second 59 or the next minute",
         "2016-12-31T24:00:00Z": "'2016-12-31T24:00:00Z' has hour 24: write 00:00 of the next day",
         "2023-01-02T03:04:05 Europe/Madrid":
             "'2023-01-02T03:04:05 Europe/Madrid' is not an ISO 8601 timestamp"},
    ),
    (
        "timestamptz(3)",
        {"2023-01-02T03:04:05.1230Z": "2023-01-02 03:04:05.123+00"},
        {"2023-01-02T03:04:05.1234Z":
             "'2023-01-02T03:04:05.1234Z' is more digits than timestamp(3) with time zone holds"},
    ),
    (
        "interval",
        {"P1DT2H": "P1DT2H", "1 day 02:00:00": "P1DT2H", "1.5 hours": "PT1H30M", "1-2": "P1Y2M",
         "PT0.123456S": "PT0.123456S", "P5M": "P5M", "1 mon": "P1M"},
        {"a while": "'a while' is no value of type interval",
         "infinity": "'infinity' is not an interval", "-infinity": "'-infinity' is not an interval",
         "5": "'5' has no unit: write PT5S for 5 seconds, P5D for 5 days",
         "5m": "'5m' has m for a unit: write P5M for 5 months, PT5M for 5 minutes",
         "0.5 months": "'0.5 months' is not an interval",
         "1.1 years": "'1.1 years' is not an interval",
         "P0.5M": "'P0.5M' is not an interval", "P1.5Y": "'P1.5Y' is not an interval",
         "PT0.1234567S": "'PT0.1234567S' is more digits than interval holds"},
    ),
    (
        "interval(0)",
        {"PT1S": "PT1S"},
        {"PT1.5S": "'PT1.5S' is more than interval(0) holds"},
    ),
    (
        "interval day to hour",
        {"P1DT2H": "P1DT2H"},
        {"P1DT2H3M": "'P1DT2H3M' is more than interval day to hour holds",
         "PT1.5S": "'PT1.5S' is more than interval day to hour holds"},
    ),
    (
        "interval year",
        {"P2Y": "P2Y"},
        {"P2Y1M": "'P2Y1M' is more than interval year holds"},
    ),
]  # fmt: skip


@each_kind(TYPES)
def test_literals(
    boat: Boat, declare: Callable[[str], None], kind: str, good: Cells, bad: Cells
) -> None:
    check_cells(boat, declare, kind, good, bad)
