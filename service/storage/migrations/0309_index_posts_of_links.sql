-- alone
-- Whether a list names somebody for a post is asked for each post: of a list of 20,000 it read all entries
-- each time. Entries of posts are few, so the index is small, and other entries are not in it. Its
-- expressions are those of service/audience/rosters/standing.py, its roles POST_ROLES.
CREATE INDEX CONCURRENTLY IF NOT EXISTS links_post ON links (
    roster_id,
    folded(coalesce(nullif(school || college || org || office || grade || class, ''), area_code, ''))
) WHERE left_by IS NULL
    AND roles && ARRAY['liaison', 'leader', 'teacher', 'counsellor', 'class_monitor', 'principal'];
