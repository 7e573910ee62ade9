-- Counts the people of one stretch of hashes, each once, and adds them to the facts of the count.
WITH texts AS (
    -- Run by run, by the index of run and phone: statistics know nothing of a new run.
    SELECT m.phone_hash, m.area_code, m.roles, m.rank, m.reason, r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn), LATERAL (
        SELECT phone_hash, area_code, roles, $rank AS rank, shown_reason(m.reason) AS reason
        FROM messages m
        WHERE m.run_id = r.id AND m.phone_hash IS NOT NULL AND m.phone_hash >= :low
          AND m.phone_hash < :high OFFSET 0) m
    UNION ALL
    SELECT e.phone_hash, e.area_code, e.roles, :excluded_rank::int, e.reason, r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn), LATERAL (
        SELECT phone_hash, area_code, roles, reason FROM exclusions
        WHERE run_id = r.id AND phone_hash >= :low
          AND phone_hash < :high OFFSET 0) e
    UNION ALL
    -- Whom somebody told face to face; the area and roles are those of the run's text.
    SELECT v.phone_hash, v.area_code, v.roles, :told_rank::int, '', r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn)
    JOIN followups f ON f.root_run_id = r.id AND f.told_at IS NOT NULL, LATERAL (
        SELECT phone_hash, nullif(area_code, '') AS area_code, roles FROM visits
        WHERE followup_id = f.id AND state = 'told' AND phone_hash >= :low
          AND phone_hash < :high OFFSET 0) v
), best AS (
    SELECT DISTINCT ON (phone_hash) phone_hash, area_code, roles, rank, reason
    FROM texts ORDER BY phone_hash, rank, turn DESC
), people AS (
    -- Of those told, whom no run had in its ledger: they are outside the target.
    SELECT area_code, roles, rank, CASE
        WHEN rank <> :told_rank THEN reason
        WHEN NOT EXISTS (
            SELECT FROM unnest(:runs::uuid[]) AS r(id), LATERAL (
                SELECT FROM messages
                WHERE run_id = r.id AND phone_hash = best.phone_hash OFFSET 0) m)
        THEN :left_out END AS reason
    FROM best
), counted AS (
    SELECT coalesce(area_code, '') AS area_code, role, rank, coalesce(reason, '') AS reason,
           count(*)::int AS people
    FROM people, LATERAL unnest(array_prepend('', coalesce(roles, '{}'))) AS r(role)
    GROUP BY 1, 2, 3, 4
)
INSERT INTO coverage_facts AS f (scope_id, count_no, area_code, role, outcome, reason, people)
SELECT :scope_id, :number, area_code, role, (:outcomes::text[])[rank + 1], reason, people
FROM counted
ON CONFLICT (scope_id, count_no, area_code, role, outcome, reason)
DO UPDATE SET people = f.people + excluded.people
