-- How far the reading of a file has come. The reading holds the import's row and is one transaction, so
-- this is written beside it, over another connection, and has no foreign key to that row. It is only for
-- looking at: a crash may empty it.
CREATE UNLOGGED TABLE import_progress (
    import_id uuid PRIMARY KEY,
    rows_read bigint NOT NULL
);
