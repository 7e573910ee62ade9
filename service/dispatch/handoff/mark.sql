-- Marks messages as leaving on one connection of a channel, or stops them for good.
--
-- run_ids, slice_nos: the slices from which they are. slices, nos, part_counts, stops: the
-- messages: which of those slices (from 1), the number in the ledger, how many parts, and why it is
-- stopped whatever else holds (null: it is not).
-- Returns run_id, no, attempt and state of each that moved, and of those that stay queued since
-- their person has had enough, `capped`. What is missing may not leave now. If any leaves, one more
-- row, without a run, says how many texts the connection has marked by now (`marks`), in which
-- database and in which cluster and timeline.

-- What is permitted of each slice: its run is running, it and the connection are the caller's,
-- the database is where it was accepted to be (it was neither promoted nor restored since), and
-- neither everything, the channel nor its circuit breaker stands in the way.
WITH permit AS MATERIALIZED (
    SELECT w.at, r.id AS run_id, r.class, r.confirms, r.department_id, r.created_at, r.joint_fire,
           hashtextextended(r.text, 0) AS text,
           cap.id IS NOT NULL AS counted, cap.per_day, cap.per_week, cap.per_month,
           cap.same_text
    -- In sub-selects, so that the planner does not look at them: one plan does for all.
    FROM unnest((SELECT :run_ids::uuid[]), (SELECT :slice_nos::int[])) WITH ORDINALITY
            AS w(run_id, slice_no, at)
        CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = w.run_id OFFSET 0) r
        CROSS JOIN LATERAL (
            SELECT slot, epoch FROM slices
            WHERE run_id = w.run_id AND no = w.slice_no OFFSET 0) s
        LEFT JOIN LATERAL ($CURRENT_CAP) cap ON true, connections k
    WHERE r.state = 'running' AND s.slot = :slot AND s.epoch = :epoch
      AND k.channel_id = :channel_id AND k.slot = :slot AND k.epoch = :epoch
      AND k.owner = :owner AND k.expires_at > clock_timestamp()
      AND NOT EXISTS (SELECT FROM generation WHERE cluster <> present_cluster())
      AND NOT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
      AND NOT EXISTS (SELECT FROM channels c WHERE c.id = :channel_id AND c.held_until > :now)
      AND NOT EXISTS (
        SELECT FROM circuit_breakers b WHERE b.channel_id = :channel_id AND b.state = 'open')

), asked AS (
    SELECT * FROM unnest((SELECT :slices::smallint[]), (SELECT :nos::int[]),
            (SELECT :part_counts::smallint[]), (SELECT :stops::text[]))
        AS a(slice, no, part_count, stop)

-- Those that are still to leave, and why one is stopped for good: as asked, because the person
-- was erased after the run was made, or by a suppression.
), candidate AS MATERIALIZED (
    SELECT m.row, a.no, a.part_count, m.phone_hash, p.run_id, p.class, p.text, p.counted,
        p.joint_fire, p.department_id,
        COALESCE(a.stop, (
            SELECT '$ERASED' FROM erasures e
            WHERE e.phone_hash = m.phone_hash AND e.erased_at >= p.created_at
              AND (e.department_id IS NULL OR e.department_id = p.department_id)
            LIMIT 1), (
            SELECT o.reason FROM suppressions o
            WHERE o.phone_hash = m.phone_hash
              AND o.reason IS DISTINCT FROM p.confirms
              AND $STOPS
            ORDER BY o.reason LIMIT 1)$IN_OTHER_LEG) AS stop
    FROM asked a JOIN permit p ON p.at = a.slice, LATERAL (
        -- Row by row: statistics know nothing of a run that was written a moment ago, and a join
        -- may be planned as one pass over the whole of it for every batch.
        SELECT ctid AS row, phone_hash FROM messages
        WHERE run_id = p.run_id AND no = a.no AND state IN $SOURCES
          AND channel_id = :channel_id OFFSET 0) m

-- Nothing leaves to a phone whose last hand-off on this channel is uncertain: a receipt could not
-- be told apart.
), verdict AS MATERIALIZED (
    SELECT * FROM candidate c
    WHERE c.stop IS NOT NULL OR NOT EXISTS (
        SELECT FROM uncertain u
        WHERE u.channel_id = :channel_id AND u.phone_hash = c.phone_hash)

-- A place under the person's cap, for those that may leave; whoever gets none is capped.
), reserved AS ($RESERVED), placed AS MATERIALIZED (
    SELECT v.*, v.stop IS NULL AND v.counted
        AND v.phone_hash NOT IN (SELECT phone_hash FROM reserved) AS capped
    FROM verdict v

$SEATED), moved AS (
    UPDATE messages m SET
        state = CASE WHEN v.stop IS NULL THEN 'submitting'
            WHEN v.stop = '$ERASED' THEN 'cancelled' ELSE 'suppressed' END::message_state,
        reason = v.stop,
        part_count = v.part_count,
        attempt = m.attempt + CASE WHEN v.stop IS NULL THEN 1 ELSE 0 END,
        marked_at = CASE WHEN v.stop IS NULL THEN :now::timestamptz END,
        final_at = CASE WHEN v.stop IS NOT NULL THEN :now::timestamptz END
    FROM $PLACED v
    WHERE m.ctid = v.row AND m.state IN $SOURCES AND NOT v.capped
    RETURNING m.run_id, m.no, m.attempt, m.state::text

-- Redis is told the count before any of them is written (`campaigns.stops.witness`).
), counted AS (
    UPDATE connections SET marks = marks + (SELECT count(*) FROM moved WHERE state = 'submitting')
    WHERE channel_id = :channel_id AND slot = :slot
      AND EXISTS (SELECT FROM moved WHERE state = 'submitting')
    RETURNING marks
)

SELECT run_id, no, attempt, state, false AS capped,
       NULL::bigint AS marks, NULL::uuid AS database, NULL AS cluster FROM moved
UNION ALL SELECT run_id, no, 0, 'queued', true, NULL, NULL, NULL FROM placed WHERE capped
UNION ALL SELECT NULL, NULL, NULL, NULL, false, c.marks, g.id, g.cluster
FROM counted c LEFT JOIN generation g ON true
