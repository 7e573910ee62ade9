-- Who answers for a department's duties, and its leader in charge: one of each at a time, with a phone.
-- Rows are ended, never changed, so who it was at any time can be told; of somebody who was erased,
-- or who has had no duty for as long as numbers are kept, only that there was somebody.
CREATE TABLE department_people (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    duty text NOT NULL CHECK (duty IN ('liaison', 'leader')),
    name_cipher bytea,
    phone_cipher bytea,
    phone_hash bytea,
    since timestamptz NOT NULL,
    until timestamptz,
    set_by uuid NOT NULL REFERENCES users,
    CONSTRAINT department_people_known_or_not CHECK (
        num_nonnulls(name_cipher, phone_cipher, phone_hash) IN (0, 3)),
    CONSTRAINT department_people_known_while_on_duty CHECK (
        until IS NOT NULL OR phone_hash IS NOT NULL)
);
CREATE UNIQUE INDEX department_people_on_duty ON department_people (department_id, duty)
    WHERE until IS NULL;
CREATE INDEX department_people_history ON department_people (department_id, id);
CREATE INDEX department_people_phone ON department_people (phone_hash) WHERE phone_hash IS NOT NULL;
CREATE INDEX department_people_former ON department_people (until) WHERE phone_hash IS NOT NULL;
CREATE INDEX department_people_by ON department_people (set_by);
