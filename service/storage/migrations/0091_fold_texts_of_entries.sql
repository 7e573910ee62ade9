-- What lists say of a person's organisation, school, grade and class, as rules compare it: without
-- capitals and white space (`segment_words.fold`). Kept beside the text, for a preview looks at every
-- entry of a department, and folding took a quarter of it. White space as in service/audience/cells.py.
CREATE FUNCTION folded(text text) RETURNS text IMMUTABLE LANGUAGE sql RETURN translate(
    lower(text),
    U&'\0009\000a\000b\000c\000d\0020\0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\2028\2029\202f\205f\3000',
    '');

ALTER TABLE links
    ADD COLUMN org_folded text GENERATED ALWAYS AS (folded(org)) STORED,
    ADD COLUMN school_folded text GENERATED ALWAYS AS (folded(school)) STORED,
    ADD COLUMN grade_folded text GENERATED ALWAYS AS (folded(grade)) STORED,
    ADD COLUMN class_folded text GENERATED ALWAYS AS (folded(class)) STORED;
