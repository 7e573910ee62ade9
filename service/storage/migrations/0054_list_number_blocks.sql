-- Which carrier was allotted which ten thousand numbers: seven digits say more than the first three or
-- four. A table is taken whole from a file, in place of the one before.
CREATE TABLE block_tables (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    in_force boolean NOT NULL DEFAULT true UNIQUE CHECK (in_force), -- so there is one at most
    source text NOT NULL,
    file_sha256 text NOT NULL,
    blocks integer NOT NULL CHECK (blocks > 0),
    taken_by uuid REFERENCES users, -- NULL: whoever holds the command line
    taken_at timestamptz NOT NULL
);

CREATE TABLE number_blocks (
    block integer PRIMARY KEY CHECK (block BETWEEN 1000000 AND 1999999),
    carrier text NOT NULL CHECK (
        carrier IN ('china_mobile', 'china_unicom', 'china_telecom', 'china_broadnet')),
    virtual boolean NOT NULL, -- a virtual operator's, on this carrier's network
    province text NOT NULL,
    city text NOT NULL
);
