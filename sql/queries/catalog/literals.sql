-- The canonical form of a literal, for each base type. Postgres itself judges the value
-- (pg_input_is_valid); these exclude what its input functions would guess, round or cut.

-- fragment: integer
-- Digits after a sign: no 0x1F, no 1_000.
{cell} ~ '^[-+]?[0-9]+$'

-- fragment: unsigned
-- Digits without a sign, which would count from the greatest down, or zeros before them, which would
-- make it octal (numutils.c, uint32in_subr).
{cell} ~ '^(0|[1-9][0-9]*)$'

-- fragment: number
-- Decimal digits with a point and an exponent: no NaN, no infinity.
{cell} ~ '^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$'

-- fragment: amount
-- Decimal digits with a point: no currency, no thousands separators.
{cell} ~ '^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)$'

-- fragment: date
-- ISO 8601 extended calendar date; midnight may follow, as it adds nothing.
{cell} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]00:00(:00(\.0*)?)?)?$'

-- fragment: time
-- ISO 8601 extended time of day, of as many digits as the column holds, without second 60.
{cell} ~ '^[0-9]{{2}}:[0-9]{{2}}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{{0,{digits}}}0*)?)?$'

-- fragment: timetz
-- The same with an offset; without one it is UTC.
{cell} ~ '^[0-9]{{2}}:[0-9]{{2}}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{{0,{digits}}}0*)?)?(Z|[-+][0-9]{{2}}(:?[0-9]{{2}})?)?$'

-- fragment: timestamp
-- ISO 8601 extended date and time without an offset, hour 24 or second 60.
{cell} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]([013-9][0-9]|2[0-35-9]):[0-9]{{2}}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{{0,{digits}}}0*)?)?)?$'

-- fragment: timestamptz
-- The same with an offset; the usual form first, as the general one costs five times more.
({cell} like '____-__-__T__:__:__Z' and translate({cell}, '0123456789', '') = '--T::Z'
    and {cell} not like '%%T24:%%' and {cell} not like '%%:60Z')
or {cell} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]([013-9][0-9]|2[0-35-9]):[0-9]{{2}}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{{0,{digits}}}0*)?)?(Z|[-+][0-9]{{2}}(:?[0-9]{{2}})?)?)?$'

-- fragment: interval
-- Units, or ISO 8601. Not: no unit, infinity, m for months or minutes, a fraction of months or years,
-- which have no fixed length, less than a microsecond.
{cell} ~ '[A-Za-z:]|[0-9]-[0-9]' and {cell} !~* 'inf|^[^p]*[0-9] *m([^a-z]|$)|\.[0-9]*[1-9][0-9]* *(y|mon|dec|c|mil)|p[^t]*\.[0-9]*[1-9][0-9]*m|\.[0-9]{{6}}[0-9]*[1-9]'

-- fragment: uuid
-- RFC 9562 text form.
{cell} ~* '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'

-- fragment: bytea
-- Hexadecimal digits after \x.
{cell} ~ '^\\x([0-9a-fA-F]{{2}})*$'

-- fragment: cidr
-- A mask, four numbers or IPv6: Postgres guesses the mask of fewer numbers from their class.
{cell} ~ '^[0-9.]+/[0-9]+$|^[0-9]+(\.[0-9]+){{3}}$|:'

-- fragment: any
-- Everything that the type's own input function accepts.
true

-- fragment: readable
-- A value of the type.
pg_input_is_valid({cell}, {type})

-- fragment: fits_length
-- No character is cut off.
char_length({cell}) <= {length}

-- fragment: fits_name
-- No byte is cut off (NAMEDATALEN - 1).
octet_length({cell}) <= 63

-- fragment: fits_char
-- One byte, or its octal digits (char.c, charin).
(octet_length({cell}) = 1 or {cell} ~ '^\\[0-3][0-7]{{2}}$')

-- fragment: fits_scale
-- No decimal place is rounded away.
{cell}::numeric = round({cell}::numeric, {scale})

-- fragment: fits_float
-- A whole number keeps its last digit. Fractions of a float are approximate by nature.
(octet_length({cell}) < {digits} or {cell} !~ '^[-+]?[0-9]+(\.0*)?$' or case
    when abs({cell}::numeric) < 1e18 then {cell}::{type}::bigint = {cell}::numeric
    else {cell}::{type}::text::numeric = {cell}::numeric
end)

-- fragment: fits_money
-- What the locale makes of the digits is the same number.
{cell}::money::numeric = {cell}::numeric

-- fragment: fits_interval
-- No field and no part of a second is cut off.
{cell}::interval = {cell}::{type}

-- fragment: fits_parts
-- The same holds for every part of the value.
not exists (select from {parts} where not ({holds}))

-- fragment: fits_integers
-- Digits are integers: the elements need not be looked at one by one, which costs ten times more.
translate({cell}, '0123456789-,{{}}', '') = '' or {fits}

-- fragment: elements
-- The elements of an array.
unnest({cell}::text[]) as {part} (cell)

-- fragment: members
-- The fields of a composite, or the bounds of ranges: each is after a bracket or a comma, in quotes or
-- without any (manual, "Composite Type Input Syntax", "Range Input/Output"). found[3] is all else.
regexp_matches(
        case when lower({cell}) <> 'empty' then {cell} end,
        '[[(,](?:"((?:[^"\\]|\\.|"")*)"|([^][()",\\]*))(?=[]),])|([^][(){{}},\s])', 'g'
    ) with ordinality as {match} (found, place)
    cross join lateral (select coalesce(
        regexp_replace({match}.found[1], '\\(.)|"(")', '\1\2', 'g'), nullif({match}.found[2], '')
    )) as {part} (cell)

-- fragment: member_holds
-- What holds for a member that was recognised.
{match}.found[3] is null and ({holds})

-- fragment: of_fields
-- What is said of a field.
case {match}.place {cases} end

-- fragment: of_field
-- What is said of the field at a place.
when {place} then {found}

-- fragment: trimmed
-- A cell without the blanks around it, those of HTML tables and spreadsheets included.
btrim({cell}, E' \t\n\r\f\x0B\u00A0')

-- fragment: whole
-- An integer without the point and the zeros after it: 8 for 8.0.
regexp_replace({cell}, '^([-+]?[0-9]+)\.0*$', '\1')

-- fragment: tidied
-- A cell in a form that Postgres takes, if nothing is lost by it.
(select case {blank} when {valid} then tidy.cell else {cell} end from (values ({tidy})) as tidy (cell))

-- fragment: blank
-- Nothing but blanks is no value.
when tidy.cell = '' then null

-- fragment: fault
-- What is wrong with a cell that is not valid.
case
    {cases}
    else {not_noun}
end

-- fragment: if_form
-- A cell in canonical form, which is no value or loses something.
when {form} then {found}

-- fragment: loss_or_beyond
-- Postgres can read it, but something would be lost; or it cannot.
case when {readable} then {loss} else {beyond} end

-- fragment: part_fault
-- What is wrong with the first such part of a cell.
coalesce(
    case when {readable} then (
        select 'holds ''' || left({part}, 80) || ''', which ' || {fault}
        from {parts} where not ({holds}) limit 1
    ) end,
    {beyond}
)

-- fragment: if_year_is_last
-- A day in an order that differs from country to country.
when {cell} ~ '^\s*[0-9]{{1,2}}[-./ ][0-9]{{1,2}}[-./ ][0-9]{{2}}'
    then {not_noun} || ': write the year first, as in 2018-03-31'

-- fragment: if_time_of_day
-- A date with more than the day.
when {cell} ~ '^\s*[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:'
    then 'has a time of day: write only the day'

-- fragment: if_second_sixty
-- Postgres would make it the next minute.
when {cell} ~ ':[0-9]{{2}}:60' then 'has second 60: write second 59 or the next minute'

-- fragment: if_hour_twenty_four
-- Postgres would make it the next day.
when {cell} ~ '[T ]24:' then 'has hour 24: write 00:00 of the next day'

-- fragment: if_more_digits
-- A fraction of a second that would be rounded.
when {cell} ~ '[0-9]\.[0-9]{{{digits}}}[0-9]*[1-9]'
    then 'is more digits than ' || {type} || ' holds'

-- fragment: if_no_unit
-- Postgres would take it for seconds.
when {cell} ~ '^[-+ ]*[0-9.]+ *$' then 'has no unit: write PT5S for 5 seconds, P5D for 5 days'

-- fragment: if_month_or_minute
-- Postgres would take it for minutes.
when {cell} ~* '^[^p]*[0-9] *m([^a-z]|$)' then 'has m for a unit: write P5M for 5 months, PT5M for 5 minutes'

-- fragment: typed
-- A cell as a value of its column; NULL if it is none.
case when {valid} then {cell}::{type} end

-- fragment: trusted
-- A cell of a column in which every value is known to be valid.
{cell}::{type}

-- fragment: default
-- The default of a column that the rows do not have.
({value})::{type}

-- fragment: as_text
-- A value as a sentence shows it.
({value})::text

-- fragment: plain
-- A value of a domain as one of its base type: CASE drops the domain.
case when true then {value} end
