-- The people of a scope whose phones' hashes lie after one and before another, each once with the best
-- of all their texts, run by run, by the index of run and phone: as `count_stretch.sql`.
WITH texts AS (
    SELECT m.phone_hash, m.phone_cipher, m.area_code, m.roles, m.rank, m.reason, m.no, r.id, r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn), LATERAL (
        SELECT phone_hash, phone_cipher, area_code, roles, $rank AS rank,
               shown_reason(m.reason) AS reason, no
        FROM messages m
        WHERE m.run_id = r.id AND m.phone_hash IS NOT NULL AND m.phone_hash > :after
          AND m.phone_hash < :before OFFSET 0) m
    UNION ALL
    SELECT e.phone_hash, NULL, e.area_code, e.roles, :excluded_rank::int, e.reason, NULL, r.id,
           r.turn
    FROM unnest(:runs::uuid[]) WITH ORDINALITY AS r(id, turn), LATERAL (
        SELECT phone_hash, area_code, roles, reason FROM exclusions
        WHERE run_id = r.id AND phone_hash > :after AND phone_hash < :before OFFSET 0) e
), people AS (
    SELECT DISTINCT ON (phone_hash) phone_hash, phone_cipher, area_code, roles, rank, reason, no,
           id AS run_id
    FROM texts ORDER BY phone_hash, rank, turn DESC
)
SELECT * FROM people
WHERE (:rank::int IS NULL OR rank = :rank)
  AND (:reason::text IS NULL OR reason = :reason)
  AND (:role::text IS NULL OR :role = ANY (roles))
  AND (:areas::text[] IS NULL OR coalesce(area_code, '') = ANY (:areas))
ORDER BY phone_hash
