-- Takes the next slice of a running run for one connection of a channel, or several slices of
-- direct runs of one department and priority.
--
-- held_…: the slices that the connection has in hand, a column each. few_rows: slices of direct
-- runs with no more rows are taken together, until `most` are in hand. at_once: how many
-- connections may be taking slices at the same moment: so many candidates of a run are looked at,
-- for others may be taking the first of them. only_new_flows: only a slice of a priority and
-- department of which the connection has none, or a more urgent one than one that it has.
-- campaigns_first: of a department's runs, before its direct ones.

WITH held AS (
    -- In sub-selects, so that the planner does not look at them: one plan does for all.
    SELECT * FROM unnest((SELECT :held_runs::uuid[]), (SELECT :held_priorities::smallint[]),
                         (SELECT :held_departments::uuid[]), (SELECT :held_together::boolean[]))
        AS h(run_id, priority, department_id, taken_together)

-- What is in hand of each flow: of one priority of one department.
), flow AS (
    SELECT priority, department_id, count(*) FILTER (WHERE taken_together) AS in_hand
    FROM held GROUP BY priority, department_id

-- Every slice that may be taken now, with what its turn depends on. known: the connection has
-- something of its flow. behind: how far its flow has come on this channel (see fair_queue).
), candidate AS (
    SELECT s.run_id, s.no, s.row, s.priority, r.department_id, r.direct,
        r.direct AND s.last_no - s.first_no < :few_rows AS taken_together,
        f.in_hand IS NOT NULL AS known, coalesce(f.in_hand, 0) AS in_hand,
        greatest(a.virtual_time, p.present, 0) AS behind
    FROM (
        SELECT id, department_id, canary, false AS direct FROM runs
        WHERE state = 'running' AND campaign_id IS NOT NULL
        UNION ALL
        -- There may be hundreds, of one text each: those whose turn may come.
        SELECT o.id, d.id, NULL, true FROM departments d CROSS JOIN LATERAL (
            SELECT id FROM runs o
            WHERE o.department_id = d.id AND o.campaign_id IS NULL AND o.state = 'running'
              AND NOT EXISTS (SELECT FROM held h WHERE h.run_id = o.id)
              AND (  -- no EXISTS: that may be planned as a look at all slices for each run
                SELECT s.no FROM slices s
                WHERE s.channel_id = :channel_id AND s.run_id = o.id AND s.done_at IS NULL
                  AND s.epoch IS NULL AND (s.not_before IS NULL OR s.not_before <= :now)
                LIMIT 1) IS NOT NULL
            ORDER BY o.id LIMIT :at_once) o
    ) r CROSS JOIN LATERAL (
        -- Run by run along the index: statistics know nothing of a run just written. More than
        -- one, for others may be taking the first of them at this moment.
        SELECT run_id, no, priority, first_no, last_no, ctid AS row FROM slices
        WHERE channel_id = :channel_id AND run_id = r.id AND done_at IS NULL AND epoch IS NULL
          AND (not_before IS NULL OR not_before <= :now)
          AND (canary OR coalesce(r.canary, 'passed') = 'passed')
        ORDER BY no LIMIT :at_once) s
    LEFT JOIN flow f
      ON f.priority = s.priority AND f.department_id = r.department_id
    LEFT JOIN shares a ON a.channel_id = :channel_id AND a.priority = s.priority
      AND a.department_id = r.department_id
    LEFT JOIN (
        SELECT priority, max(started) AS present FROM shares
        WHERE channel_id = :channel_id GROUP BY priority) p ON p.priority = s.priority
    -- Nothing at all while the database is not where it was accepted to be, everything is stopped,
    -- the channel or the department is held, the circuit breaker is open, or the connection is not
    -- the caller's any more.
    WHERE NOT EXISTS (SELECT FROM generation WHERE cluster <> present_cluster())
      AND NOT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
      AND NOT EXISTS (SELECT FROM held h WHERE h.run_id = r.id)
      AND NOT EXISTS (SELECT FROM channels c WHERE c.id = :channel_id AND c.held_until > :now)
      AND NOT EXISTS (
        SELECT FROM departments x WHERE x.id = r.department_id AND x.held_until > :now)
      AND NOT EXISTS (
        SELECT FROM circuit_breakers b WHERE b.channel_id = :channel_id AND b.state = 'open')
      AND EXISTS (
        SELECT FROM connections k
        WHERE k.channel_id = :channel_id AND k.slot = :slot AND k.epoch = :epoch
          AND k.owner = :owner AND k.expires_at > clock_timestamp())

-- The first of them by turn: a new flow, then the priority, then the department that is furthest
-- behind, then slice by slice through its runs (invariant I11).
), first AS (
    SELECT * FROM candidate c
    WHERE (NOT :only_new_flows OR NOT c.known OR c.priority < (SELECT max(priority) FROM held))
      AND (NOT c.taken_together OR c.in_hand < :most)
    ORDER BY c.known, c.priority, c.behind, :campaigns_first AND c.direct, c.no, c.run_id
    LIMIT :at_once

-- Whose turn it is; the others are taken only if they are of its kind, or if it is gone.
), head AS MATERIALIZED (
    SELECT c.taken_together, c.priority, c.department_id, c.in_hand FROM first c
    ORDER BY c.known, c.priority, c.behind, :campaigns_first AND c.direct, c.no, c.run_id
    LIMIT 1

-- One slice, or as many small ones of the flow as there is room for. What another connection is
-- taking at this moment is passed over.
), next AS (
    SELECT s.run_id, s.no, s.row, c.taken_together
    FROM (
        SELECT c.row, c.taken_together FROM head h, first c
        WHERE NOT h.taken_together OR c.taken_together AND c.priority = h.priority
           AND c.department_id = h.department_id
        ORDER BY c.known, c.priority, c.behind, :campaigns_first AND c.direct, c.no, c.run_id
    ) c, LATERAL (  -- one by one, until there are as many as wanted
        SELECT run_id, no, ctid AS row, done_at, epoch FROM slices
        WHERE ctid = c.row FOR UPDATE SKIP LOCKED) s
    WHERE s.done_at IS NULL AND s.epoch IS NULL
    LIMIT (SELECT CASE WHEN taken_together THEN :most::int - in_hand ELSE 1 END FROM head)
)

UPDATE slices s SET slot = :slot, epoch = :epoch, touched = true
FROM next
CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = next.run_id OFFSET 0) r
JOIN departments d ON d.id = r.department_id
WHERE s.ctid = next.row
RETURNING s.run_id, s.no, s.priority, s.first_no, s.last_no, r.text, r.class, r.max_tps,
          r.send_hours, r.timezone, r.audience, r.beyond_hours, r.on_quiet_days,
          r.valid_until, r.department_id, d.weight, coalesce(r.extension, (
            SELECT e.extension FROM extensions e
            WHERE e.department_id = r.department_id AND e.ended_at IS NULL
            ORDER BY e.registered_at DESC, e.extension DESC LIMIT 1), '') AS extension,
          num_nonnulls(d.daily_quota, d.monthly_quota, d.yearly_quota) > 0 AS has_allowance,
          r.campaign_id IS NULL AS direct, r.joint_fire IS NOT NULL AS joint, next.taken_together
