-- The canonical form of a literal, for each base type. Postgres itself judges the value
-- (pg_input_is_valid); these exclude what its input functions accept beyond the canonical form.

-- fragment: integer
-- Digits, after a minus if negative: no blanks, no plus, no 0x1F, no 1_000.
{cell} ~ '^-?[0-9]+$'

-- fragment: number
-- Decimal digits with a point and an exponent: no NaN, no infinity.
{cell} ~ '^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$'

-- fragment: boolean
-- The words true and false, or Postgres's own t and f.
lower({cell}) in ('true', 'false', 't', 'f')

-- fragment: date
-- ISO 8601 extended calendar date.
{cell} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$'

-- fragment: time
-- ISO 8601 extended time of day, to the microsecond.
{cell} ~ '^[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?$'

-- fragment: timestamp
-- ISO 8601 extended date and time without an offset.
{cell} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?)?$'

-- fragment: timestamptz
-- ISO 8601 extended date and time; the usual form first, as the general one costs five times more.
({cell} like '____-__-__T__:__:__Z' and translate({cell}, '0123456789', '') = '--T::Z')
or {cell} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?(Z|[-+][0-9]{{2}}(:?[0-9]{{2}})?)?)?$'

-- fragment: uuid
-- RFC 9562 text form.
{cell} ~* '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'

-- fragment: bytea
-- Hexadecimal digits after \x.
{cell} ~ '^\\x([0-9a-fA-F]{{2}})*$'

-- fragment: any
-- Everything that the type's own input function accepts.
true

-- fragment: valid
-- A value of the type, in canonical form.
(pg_input_is_valid({cell}, {type}) and ({form}) and ({fits}))

-- fragment: fits_any
-- The type holds every digit that was given.
true

-- fragment: fits_length
-- No character is cut off.
char_length({cell}) <= {length}

-- fragment: fits_scale
-- No decimal place is rounded away.
{cell}::numeric = round({cell}::numeric, {scale})

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
