-- title: Departments above the mean
-- about: The departments that hired more employees in a year than the mean over all departments, most
--   first. The UTC time of a hire decides; a department without a hire counts as 0 in the mean.
-- tables: hired_employees.hired_employees, hired_employees.departments
-- param: year integer 1..9999 = 2021 | The year of the hires.
-- chart: bars x=department y=hired
-- years: hired_employees.hired_employees.hired_date
with hires as (
    select department_id, count(*) as hired
    from hired_employees.hired_employees
    where hired_date >= (select make_timestamptz(%(year)s, 1, 1, 0, 0, 0, 'UTC'))
        and hired_date < (select make_timestamptz(%(year)s + 1, 1, 1, 0, 0, 0, 'UTC'))
    group by department_id
)
select d.id, d.department, h.hired
from hires as h
join hired_employees.departments as d on d.id = h.department_id
where h.hired > (select sum(hired) from hires) / (select count(*) from hired_employees.departments)
order by h.hired desc, d.department collate "C", d.id;
