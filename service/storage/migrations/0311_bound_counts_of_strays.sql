-- How many people are in the lists of all departments together, as it was counted last: the bound of
-- stray opt-outs is a share of it, and an attack must not make each batch count them anew.
CREATE TABLE people_counts (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    people bigint NOT NULL,
    counted_at timestamptz NOT NULL
);

-- When the strays of an open hold's channel were counted last and were too many.
ALTER TABLE opt_out_holds ADD COLUMN counted_at timestamptz;
