-- What a list says of a person's college (学院), office (科室, 处室) and tags (标签): the liaisons of a university and
-- the offices of a bureau are told apart by them. A constant default rewrites no row of `links`.
ALTER TABLE links
    ADD COLUMN college text NOT NULL DEFAULT '',
    ADD COLUMN office text NOT NULL DEFAULT '',
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
