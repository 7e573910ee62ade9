-- Functions that decide on second persons, or that run as the owner of the tables (SECURITY
-- DEFINER), read the tables of this schema: a temporary table of the service's role, which goes
-- before any other by default, must not take the place of `grants` or `keys`. The schema is
-- whichever the tables are made in, so it is not written into each function. A later migration that
-- adds a function of this kind pins it in the same way.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace
          AND (p.prosecdef OR p.proname ~ '_another_person$'
               OR p.proname IN (
                   'share_a_person', 'persons_behind', 'users_gain_by_grants', 'deputies_for_others',
                   'channels_begin_by_two', 'signatures_were_confirmed',
                   'suppressions_of_no_held_entry'))
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    END LOOP;
END $$;
