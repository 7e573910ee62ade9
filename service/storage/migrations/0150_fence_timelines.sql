-- A database that was promoted or restored hands nothing off before it is known what it lacks
-- (docs/decisions/0460-a-promoted-database-asks-what-it-lacks.md).
--
-- The old processes go on: they count no marks, and what Redis remembers is never above the count.
SET LOCAL lock_timeout = '5s';

-- How many texts a connection has marked as leaving, ever: it rises in the mark's own transaction,
-- and Redis is told before any of them is written to the carrier.
ALTER TABLE connections ADD COLUMN marks bigint NOT NULL DEFAULT 0;
-- Each mark updates a row, so that there must be room for the next version beside it.
ALTER TABLE connections SET (fillfactor = 50);

-- era: how often the database has begun on another cluster or timeline, or was held by hand.
-- beat_at: when it beat last; what a copy lacks is no older.
ALTER TABLE generation ADD COLUMN era integer NOT NULL DEFAULT 1;
ALTER TABLE generation ADD COLUMN beat_at timestamptz;

-- Of a stop since the database was restored. missing: how many texts were handed off that are not
-- marked in it, by connection: [{"channel_id", "channel", "slot", "texts"}]; NULL: nobody knows. gap_from:
-- what is missing was done after this; NULL: nobody knows.
ALTER TABLE stops ADD COLUMN missing jsonb;
ALTER TABLE stops ADD COLUMN gap_from timestamptz;

-- A server keeps its identifier for as long as a connection to it may live, so this one may stand
-- in a plan, which is of one connection; to read it costs a look into a file.
CREATE FUNCTION own_system() RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT system_identifier::text FROM pg_catalog.pg_control_system()
$$;

-- The cluster that the database is in, and the timeline that it writes on. VOLATILE, so that it is
-- inlined: it stands in each mark.
CREATE FUNCTION present_cluster() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT own_system() || '/' || pg_catalog."left"(
        pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
$$;

-- The era of a run that is made now; on a timeline that is not accepted yet, the one to come.
CREATE FUNCTION present_era() RETURNS integer LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(
        (SELECT era + CASE WHEN cluster = present_cluster() THEN 0 ELSE 1 END FROM generation), 1)
$$;

-- NULL: made before there were eras.
ALTER TABLE runs ADD COLUMN era integer;
ALTER TABLE runs ALTER COLUMN era SET DEFAULT present_era();
