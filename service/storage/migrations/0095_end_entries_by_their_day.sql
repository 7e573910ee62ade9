-- The last day that a file gives for one person (valid until, 有效期至), where it is a day: the entry counts to its
-- end, as a list does to that of its own last day.

ALTER TABLE links ADD COLUMN last_day date;

UPDATE links SET last_day =
    make_date(left(valid_until, 4)::int, substr(valid_until, 6, 2)::int, 1) + (substr(valid_until, 9, 2)::int - 1)
WHERE valid_until ~ '^2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$';
