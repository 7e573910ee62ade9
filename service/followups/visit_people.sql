-- Writes down everybody whom a run and what was sent again of it have missed, each once.
WITH texts AS (
    SELECT m.phone_hash, m.area_code, m.roles, $rank AS rank, shown_reason(m.reason) AS reason,
           r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn), ledger_of(r.id) m
    UNION ALL
    SELECT e.phone_hash, e.area_code, e.roles, :excluded::int, e.reason, r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn), exclusions_of(r.id) e
), people AS (
    SELECT DISTINCT ON (phone_hash) phone_hash, coalesce(area_code, '') AS area_code,
           coalesce(roles, '{}') AS roles, rank, coalesce(reason, '') AS reason
    FROM texts ORDER BY phone_hash, rank, turn DESC
), missed AS (
    SELECT p.*, p.reason = ANY (:no_number) AS no_number,
           p.rank >= :stopped::int AND p.reason = ANY (:refusals) AS left_out
    FROM people p
    WHERE p.rank = ANY (:missed::int[])
       OR p.rank >= :stopped AND (
           p.reason = ANY (:no_number) OR p.rank = :stopped AND p.reason = ANY (:never_left)
           OR :include_refused AND p.reason = ANY (:refusals))
)
INSERT INTO visits (followup_id, phone_hash, area_code, roles, reason, state)
SELECT :followup_id, m.phone_hash, m.area_code, m.roles, m.reason,
       CASE WHEN $is_erased THEN $erased
            WHEN NOT :include_refused AND $is_refused THEN $opted_out
            WHEN (m.no_number OR m.left_out) AND :visited
                 AND (:roles = '{}'::text[] OR m.roles && :roles) THEN 'open'
            ELSE 'waiting' END
FROM missed m, (SELECT class, department_id, created_at FROM runs WHERE id = :root) r
