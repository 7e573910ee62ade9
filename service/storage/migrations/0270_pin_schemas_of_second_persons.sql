-- What decides on second persons reads the tables of this schema: a temporary table of the service's
-- role, which goes before any other by default, must not take the place of `grants` or `keys`.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace
          AND (p.proname ~ '_another_person$'
               OR p.proname IN ('users_gain_by_grants', 'deputies_for_others', 'share_a_person',
                                'persons_behind'))
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    END LOOP;
END $$;
