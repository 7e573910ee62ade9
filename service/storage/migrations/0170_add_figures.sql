-- What /metrics counts must go on rising when processes start again, and must cost nothing to read.
--
-- Each channel process reports what it has seen of a channel every few seconds (channel_health), and
-- such a report is deleted after an hour: its counts are added here in the same statement. So what
-- was counted since ever is this row and the reports that there are. The old processes go on; what
-- their scheduler deletes meanwhile is counted no more.
CREATE TABLE channel_totals (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    accepted bigint NOT NULL,
    refused bigint NOT NULL,
    failed bigint NOT NULL,
    unanswered bigint NOT NULL,
    unsent bigint NOT NULL,
    throttled bigint NOT NULL,
    receipts bigint NOT NULL,
    delivered bigint NOT NULL
) WITH (fillfactor = 50);

-- The standbys that follow this database, and how far behind each is. Whoever copies the log without
-- replaying it, as `tocsin backup` does, is none. Only a role that may read pg_stat_replication sees their states: the owner of the tables
-- answers for the service, which may read nothing else of it. An owner without that right
-- (pg_read_all_stats) sees none, as if there were no standby.
CREATE FUNCTION present_standbys(OUT standby text, OUT state text, OUT lag double precision)
RETURNS SETOF record STABLE LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT application_name, sync_state, coalesce(extract(epoch FROM replay_lag), 0)
    FROM pg_stat_replication
    WHERE sync_state IS NOT NULL AND replay_lsn IS NOT NULL
$$;
