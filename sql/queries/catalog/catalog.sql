-- The database is the data dictionary: everything is read from Postgres's own catalog.

-- name: tables
-- Return every managed table with its columns and constraints, as JSON.
select
    n.nspname as schema,
    c.relname as name,
    c.oid,
    obj_description(c.oid, 'pg_class') as comment,
    own.has_triggers or exists (  -- Postgres checks these by a trigger of its own
        select from pg_constraint as k
        where k.conrelid = c.oid and k.contype in ('p', 'u', 'x') and k.condeferrable
    ) as has_triggers,
    array_remove(
        array[
            case when own.has_triggers then 'trigger' end,
            case when c.relhasrules then 'rule' end,
            case when c.relrowsecurity then 'row-level security policy' end
        ],
        null
    ) as guards,
    array(
        select pg_get_constraintdef(k.oid)
        from pg_constraint as k where k.conrelid = c.oid and k.contype = 'x'
        union all
        select pg_get_indexdef(x.indexrelid)
        from pg_index as x
        where x.indrelid = c.oid and x.indisunique and not exists (
            select from pg_constraint as k
            where k.conrelid = c.oid and k.conindid = x.indexrelid and k.contype <> 'f'
        )
        union all
        select pg_get_expr(p.relpartbound, p.oid)
        from pg_inherits as i join pg_class as p on p.oid = i.inhrelid
        where i.inhparent = c.oid and p.relispartition
        union all
        select concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled, md5(f.prosrc))
        from pg_trigger as t join pg_proc as f on f.oid = t.tgfoid
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgname <> 'rowboat_written'
        union all
        select pg_get_ruledef(w.oid) from pg_rewrite as w where w.ev_class = c.oid
        union all
        select concat_ws(
            ' ', o.polname, o.polcmd, o.polpermissive, pg_get_expr(o.polqual, c.oid),
            pg_get_expr(o.polwithcheck, c.oid)
        )
        from pg_policy as o where o.polrelid = c.oid
        order by 1
    ) as own_rules,
    exists (
        select from pg_constraint as k
        where k.confrelid = c.oid and k.contype = 'f' and {enforced}
    ) as is_referenced,
    exists (select from pg_constraint as k where k.conrelid = c.oid and k.condeferred) or exists (
        select from pg_constraint as k where k.confrelid = c.oid and k.condeferred
    ) as has_deferred,
    (
        select json_agg(
            json_build_object(
                'name', a.attname,
                'type', format_type(a.atttypid, a.atttypmod),
                'base', t.typname,
                'modifier', a.atttypmod,
                'category', t.typcategory,
                'is_domain', t.typtype = 'd',
                'not_null', a.attnotnull or t.typnotnull,
                'default', pg_get_expr(d.adbin, d.adrelid),
                'identity', nullif(a.attidentity, ''),
                'generated', a.attgenerated <> '',
                'sequence', pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname),
                'labels', (
                    select json_agg(e.enumlabel order by e.enumsortorder)
                    from pg_enum as e where e.enumtypid = t.oid
                ),
                'comment', col_description(c.oid, a.attnum),
                'collation', (
                    select format('%%I.%%I', n.nspname, k.collname) from pg_collation as k
                    join pg_namespace as n on n.oid = k.collnamespace
                    where k.oid = a.attcollation and k.oid <> t.typcollation
                ),
                'equality', {equality},
                'made_of', case when t.typtype in ('d', 'c', 'r', 'm') or t.typcategory = 'A' then
                    json_build_array(a.atttypid::bigint, a.atttypmod)
                end
            )
            order by a.attnum
        )
        from pg_attribute as a
        join pg_type as t on t.oid = a.atttypid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    (
        select json_agg(
            json_build_object(
                'name', k.conname,
                'kind', k.contype,
                'columns', (
                    select json_agg(a.attname order by i.ordinal)
                    from unnest(k.conkey) with ordinality as i (attnum, ordinal)
                    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = i.attnum
                ),
                'parent_schema', pn.nspname,
                'parent', p.relname,
                'parent_columns', (
                    select json_agg(a.attname order by i.ordinal)
                    from unnest(k.confkey) with ordinality as i (attnum, ordinal)
                    join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = i.attnum
                ),
                'on_delete', k.confdeltype,
                'match', k.confmatchtype,
                'expression', case when k.contype = 'c' then pg_get_expr(k.conbin, k.conrelid) end,
                'nulls_equal', coalesce(x.indnullsnotdistinct, false),
                'deferrable', k.condeferrable,
                'period', coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false),
                'comment', obj_description(k.oid, 'pg_constraint')
            )
            order by k.contype, k.conname
        )
        from pg_constraint as k
        left join pg_class as p on p.oid = k.confrelid
        left join pg_namespace as pn on pn.oid = p.relnamespace
        left join pg_index as x on x.indexrelid = k.conindid and k.contype in ('p', 'u')
        where k.conrelid = c.oid and k.contype in ('p', 'u', 'f', 'c') and {enforced}
    ) as constraints
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    {family}
    select exists (
        select from pg_trigger as t
        join family as f on f.id = t.tgrelid
        where not t.tgisinternal and t.tgname <> 'rowboat_written'
    ) as has_triggers
) as own
where
    c.relkind in ('r', 'p')
    and not c.relispartition
    and c.relpersistence = 'p'
    and n.nspname not in ('ingest_status', 'backup_status', 'rowboat', 'rowboat_parts', 'information_schema')
    and n.nspname not like 'pg\_%%'
    and case
        when cardinality(%(schemas)s::text[]) > 0 then n.nspname = any(%(schemas)s::text[])
        else c.relowner = (
            select s.relowner from pg_class as s
            where s.oid = to_regclass('rowboat.migrations')
        )
    end
order by n.nspname, c.relname;

-- fragment: enforced
-- The constraint is not declared NOT ENFORCED, which Postgres has since 18.
coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)

-- fragment: family
-- A table and all below it: partitions and those that inherit.
with recursive family (id) as (
    select {table}::regclass::oid
    union
    select i.inhrelid from family as f join pg_inherits as i on i.inhparent = f.id
)

-- name: nodes
-- Return types that are made of others, each with all of these: by their place in it.
select t.id, t.modifier, (
    with recursive node (path, id, modifier) as (
        select array[]::bigint[], t.id, t.modifier
        union all
        select f.path || m.place, m.id, m.modifier
        from node as f
        join pg_type as y on y.oid = f.id
        cross join lateral (
            select 1, y.typbasetype, y.typtypmod where y.typtype = 'd'
            union all
            select 1, y.typelem, f.modifier where y.typinput = 'array_in'::regproc
            union all
            select 1, g.rngsubtype, -1 from pg_range as g where g.rngtypid = y.oid
            union all
            select 1, g.rngtypid, -1 from pg_range as g where g.rngmultitypid = y.oid
            union all
            select row_number() over (order by p.attnum), p.atttypid, p.atttypmod
            from pg_attribute as p
            where
                y.typtype = 'c' and p.attrelid = y.typrelid
                and p.attnum > 0 and not p.attisdropped
        ) as m (place, id, modifier)
    )
    select json_agg(
        json_build_object(
            'path', f.path,
            'kind', case
                when y.typinput = 'array_in'::regproc then 'a' else y.typtype
            end,
            'type', format_type(f.id, f.modifier),
            'base', y.typname,
            'modifier', f.modifier,
            'category', y.typcategory,
            'not_null', y.typnotnull,
            'equality', {equality},
            'rules', case y.typtype
                when 'd' then (
                    select json_agg(pg_get_constraintdef(k.oid) order by k.conname)
                    from pg_constraint as k where k.contypid = y.oid
                )
                when 'e' then (
                    select json_agg(e.enumlabel order by e.enumsortorder)
                    from pg_enum as e where e.enumtypid = y.oid
                )
            end
        )
        order by f.path
    )
    from node as f
    join pg_type as y on y.oid = f.id
)
from unnest(%(ids)s::oid[], %(modifiers)s::integer[]) as t (id, modifier);

-- fragment: equality
-- The operator for equal values of a type that an extension brings.
(
    select format('operator(%%I.=)', n.nspname)
    from pg_operator as o
    join pg_namespace as n on n.oid = o.oprnamespace
    where o.oprname = '=' and o.oprleft = {type} and o.oprright = {type}
        and n.oid <> 'pg_catalog'::regnamespace
)
