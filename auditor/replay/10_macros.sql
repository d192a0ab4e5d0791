-- Words that rules share. Stored in the audit file, so a rule run by hand means the same there.

-- A witness: what a record shows (its role) and which record it is. Event ids alone would not do: slots are
-- unique only within a run.
CREATE MACRO audit.witness(role, event_no) AS {'role': role, 'record': 'event', 'no': CAST(event_no AS BIGINT)};
CREATE MACRO audit.refusal_witness(role, refusal_no) AS
    {'role': role, 'record': 'refusal', 'no': CAST(refusal_no AS BIGINT)};
CREATE MACRO audit.entity_witness(role, entity_no) AS
    {'role': role, 'record': 'entity', 'no': CAST(entity_no AS BIGINT)};

-- A parameter of a rule, as this audit used it; the row of the run's own workflow wins. The rows are fetched as one
-- list: a subquery that depends on the workflow takes longer to plan than most rules.
CREATE MACRO audit.param(rule_id, param_name, of_workflow) AS ([
    row.value
    FOR row IN (
        SELECT list({'workflow': workflow, 'value': value} ORDER BY workflow NULLS LAST)
        FROM rule_param
        WHERE rule = rule_id AND name = param_name
    )
    IF coalesce(row.workflow = of_workflow, row.workflow IS NULL)
])[1];

-- model/lifecycle.py core_rank: '4.8.9' -> 4008009999, '5.0.0-beta.55' -> 5000000055.
CREATE MACRO audit.core_rank(version) AS CASE
    WHEN regexp_matches(version, '^\d+\.\d+\.\d+') THEN
        CAST(regexp_extract(version, '^(\d+)', 1) AS BIGINT) * 1000000000
        + CAST(regexp_extract(version, '^\d+\.(\d+)', 1) AS BIGINT) * 1000000
        + CAST(regexp_extract(version, '^\d+\.\d+\.(\d+)', 1) AS BIGINT) * 1000
        + CASE
            WHEN NOT contains(version, '-') THEN 999
            ELSE least(coalesce(TRY_CAST(regexp_extract(version, '-[a-z]+\.?(\d+)', 1) AS BIGINT), 0), 998)
        END
END;

-- The low 40 bits of a ULID body: its last 8 Crockford digits. Ordinals are differences of these. Written out,
-- because a list and a lambda for each entity cost more than everything else in its row.
-- No digit at all counts as 0: DuckDB refuses to shift what is negative.
CREATE MACRO audit.crockford(digit) AS
    CAST(greatest(strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', digit) - 1, 0) AS BIGINT);
CREATE MACRO audit.ulid_low(body) AS
    (crockford(body[19]) << 35)
    + (crockford(body[20]) << 30)
    + (crockford(body[21]) << 25)
    + (crockford(body[22]) << 20)
    + (crockford(body[23]) << 15)
    + (crockford(body[24]) << 10)
    + (crockford(body[25]) << 5)
    + (crockford(body[26]) << 0);

-- The lowest ULID body of a millisecond (model/ids.py ulid_floor).
CREATE MACRO audit.ulid_floor(ms) AS list_aggregate(list_transform(
    range(9, -1, -1),
    lambda i: substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', CAST((CAST(ms AS BIGINT) >> (5 * i)) & 31 AS INTEGER) + 1, 1)
), 'string_agg', '') || repeat('0', 16);

-- A time that a fence carries, in milliseconds since 1970: epoch milliseconds or a timestamp in text.
CREATE MACRO audit.fence_ms(text) AS coalesce(
    TRY_CAST(text AS BIGINT), epoch_ms(CAST(TRY_CAST(text AS TIMESTAMPTZ) AS TIMESTAMP))
);

-- An id short enough for a sentence and long enough to search for.
CREATE MACRO audit.short_id(id) AS CASE
    WHEN id IS NULL THEN '(none)'
    WHEN regexp_full_match(id, '.*_0{10}\d{16}') THEN regexp_replace(id, '_0+', '_…')
    WHEN length(id) > 20 THEN split_part(id, '_', 1) || '_…' || right(id, 6)
    ELSE id
END;

-- What an event is about: a step, a wait or a hook; null for all others.
CREATE MACRO audit.kind_of(event_type) AS CASE
    WHEN event_type[:5] IN ('step_', 'wait_', 'hook_') THEN event_type[:4]
END;
