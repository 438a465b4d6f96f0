-- title: Hires by quarter
-- about: How many employees each department hired for each job in the four quarters of a year.
--   The UTC time of a hire decides; departments and jobs without a hire in the year are left out.
-- tables: hired_employees.hired_employees, hired_employees.departments, hired_employees.jobs
-- param: year integer 1..9999 = 2021 | The year of the hires.
-- chart: bars x=department y=Q1,Q2,Q3,Q4
-- years: hired_employees.hired_employees.hired_date
with quarter as materialized (  -- computed once, not for each hire
    select
        make_timestamptz(%(year)s, 1, 1, 0, 0, 0, 'UTC') as first,
        make_timestamptz(%(year)s, 4, 1, 0, 0, 0, 'UTC') as second,
        make_timestamptz(%(year)s, 7, 1, 0, 0, 0, 'UTC') as third,
        make_timestamptz(%(year)s, 10, 1, 0, 0, 0, 'UTC') as fourth,
        make_timestamptz(%(year)s + 1, 1, 1, 0, 0, 0, 'UTC') as next
),
hires as (
    select
        e.department_id, e.job_id,
        count(*) filter (where e.hired_date < q.second) as q1,
        count(*) filter (where e.hired_date >= q.second and e.hired_date < q.third) as q2,
        count(*) filter (where e.hired_date >= q.third and e.hired_date < q.fourth) as q3,
        count(*) filter (where e.hired_date >= q.fourth) as q4
    from hired_employees.hired_employees as e
    join quarter as q on e.hired_date >= q.first and e.hired_date < q.next
    group by e.department_id, e.job_id
)
select
    d.department collate "C" as department, j.job collate "C" as job,
    sum(h.q1)::bigint as "Q1", sum(h.q2)::bigint as "Q2",
    sum(h.q3)::bigint as "Q3", sum(h.q4)::bigint as "Q4"
from hires as h
join hired_employees.departments as d on d.id = h.department_id
join hired_employees.jobs as j on j.id = h.job_id
group by 1, 2
order by 1, 2;
