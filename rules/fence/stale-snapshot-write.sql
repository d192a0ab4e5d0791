/*
title: A write was accepted from a snapshot that missed an event
diagnosis: >-
  Writes of {event types of stale write} are accepted from snapshots that missed {event types of
  missed}[, under {fences of stale write} fences].
severity: error
confidence: proof
needs: [fences]
implies:
  - conflicting-terminals
  - duplicate-step-created
  - duplicate-wait-completed
  - duplicate-wait-created
  - event-after-terminal
  - fence-regressed
  - hook-sleep-near-race
  - late-creation
  - ordinal-collision
  - ordinal-regression
  - orphaned-wait
  - runtime-corruption-verdict
  - self-hook-conflict
  - spurious-conflict
  - stale-snapshot-write
  - step-name-conflict
  - step-restarted-after-outcome
  - unusual-branch
since: 0.1.0
---
## What it means
A tick decides what to write from a snapshot: the part of the log that it had read. The fence of the
write names the last event of that snapshot. Here a decision write was accepted although events that
its writer had not read stood before it in the log. The decision ignores them, so the log may hold a
branch that a replay of the same log does not take.

One finding covers one batch. Its witness is the last event of the snapshot, the missed events (five
at most) and the stale writes.

## Why it happens
- Two ticks of one run overlap. One of them reads the log before a signal or an outcome is
  committed, and writes after it.
- The store does not compare the fence with the tail, or compares first and appends later, in two
  steps.
- Unfenced writes do not advance the tail that fences are compared with.
- The fence is weaker than `tail`. A `count`, `as_of` or `state_updated_at` fence can pass while an
  event is missing from the snapshot.

## Example
A hook is raced against a sleep of 30 s.

    #3  hook_created    hook_…KCQGKN            fence #2
    #4  wait_created    wait_…KCQGKP            fence #2, same request as #3
    #5  hook_received   hook_…KCQGKN            a signal, unfenced
    #6  wait_completed  wait_…KCQGKP            fence #4: its writer had not read #5
    #7  step_created    step_…KCQGKQ  escalate  fence #6: the branch of the elapsed wait

The hook came first, at #5, so a replay takes the branch of the hook and has no use for #7. That #3
is missing from the snapshot of #4 is no fault: the two are one batch.

## How to confirm
A log with `tailAtCommit` says what the tail was when a write was committed. A `tail` fence that
names another event should have been refused:

    SELECT run_id, position, event_type, fence_value, tail
    FROM write
    WHERE role = 'decision' AND refusal_no IS NULL AND fence_kind = 'tail' AND fence_value <> tail;

Every event that a decision write had not seen. In a log without request ids that includes the
siblings of its own batch:

    SELECT late.run_id, late.position, late.event_type, unseen.position AS unseen,
        unseen.event_type AS unseen_type
    FROM write AS late
    JOIN write AS unseen ON unseen.run_id = late.run_id
        AND unseen.position > late.known AND unseen.position < late.position
    WHERE late.role = 'decision' AND late.fence_kind <> 'unfenced'
        AND (unseen.request_id = late.request_id) IS NOT TRUE
        AND late.run_id IN (SELECT run_id FROM finding WHERE rule = 'stale-snapshot-write')
    ORDER BY ALL;

## What to do
- Do not trust what the run did after the stale write. Look at the steps that were created from it:
  their side effects may be those of the wrong branch. Restart the run from its input.
- Make the store compare the fence with the tail in the same atomic statement that appends, and let
  every write, fenced or not, advance the tail.
- Fence every decision write with `tail`. After a refusal read the log again, replay and decide
  again; never send the old decision under a new fence.
- Serialise the ticks of a run. `WORKFLOW_SEQUENTIAL_REPLAYS=1` has to be set for the build and at
  run time. This makes the race rarer; it does not replace the fence.

## When it is wrong
- The finding proves that the write was made without the missed events. It does not prove that they
  matter to it: a missed `step_started` changes no branch, but breaks a `tail` fence all the same.
- The slot protocol of spec 6 to 8 commits such a write on purpose and reports the skipped events to
  the writer. Where its `eventCount` was captured, findings are normal under contention. Look there
  for a missed `hook_received`, step outcome or `wait_completed` that the writer was waiting for.
- Without request ids, the writes of one tick and writer under one fence count as one batch. If the
  log has no tick and writer ids either, two ticks that used the same fence pass as one batch, and
  the rule misses the later one.
- A `noop` is not missed: it seals an abandoned slot and says nothing.
- Not judged: unfenced writes, writes without any fence (see dropped-fence), fences that name no
  event of the log, and an old decision that was sent again under a fresh fence.
- Only the 64 places after each snapshot are searched.
- Base rate: none. Stock exports do not record fences, so the rule was evaluated on none of the
  1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-001. vercel/workflow#2113 (the fence on the tail), vercel/workflow#3145 (the fence on
a count), vercel/workflow#3177 (the snapshot must be the tail), vercel/workflow#3389 (slots),
vercel/workflow#2193 (serialised ticks).
*/
WITH accepted AS (
    SELECT
        *,
        -- The members of one batch share one fence and one request: none of them is unseen by its siblings.
        -- A log without request ids gives that credit to the writes of one tick under the very same fence.
        coalesce(
            'request ' || request_id,
            fence_kind || ' ' || fence_value || concat_ws(' ', '', tick_id, writer_id),
            'event ' || event_no
        ) AS batch
    FROM write
    WHERE refusal_no IS NULL
),

fenced AS (
    SELECT *
    FROM accepted
    WHERE role = 'decision' AND fence_kind <> 'unfenced' AND known < "position" - 1
),

-- The 64 places after each snapshot: enough to name what was missed, and a bound on the work.
gap AS (
    SELECT fenced.*, unnest(range(known + 1, least("position", known + 65))) AS missed_position
    FROM fenced
),

missed AS (
    SELECT gap.*, seen.event_no AS missed_no, seen.event_type AS missed_type
    FROM gap
    JOIN accepted AS seen ON seen.run_id = gap.run_id AND seen."position" = missed_position
    WHERE seen.batch <> gap.batch
        -- A sealed slot says nothing that a decision could have missed.
        AND seen.event_type <> 'noop'
        -- This weak fence protects against signals and step outcomes only.
        AND (gap.fence_kind <> 'state_updated_at' OR seen.role IN ('signal', 'outcome'))
),

stale AS (
    SELECT
        run_id, event_no, event_type, batch, "position", known, fence_kind,
        list(missed_no ORDER BY missed_position) AS missed_nos,
        min(missed_position) AS first_missed,
        arg_min(missed_type, missed_position) AS first_type,
        count(*) AS missed_count
    FROM missed
    GROUP BY ALL
)

SELECT
    stale.run_id,
    CASE WHEN any_value(snapshot.event_no) IS NULL THEN []
        ELSE [witness('last event of the snapshot', any_value(snapshot.event_no))] END
    || [witness('missed', no) FOR no IN arg_min(missed_nos, stale."position")[:5]]
    || list(witness('stale write', stale.event_no) ORDER BY stale."position") AS witness,
    format(
        '{} at #{}{} was written knowing the log up to #{}, but {} at #{}{} stood there already ({} fence).',
        arg_min(stale.event_type, stale."position"), min(stale."position"),
        CASE count(*) WHEN 1 THEN '' ELSE format(' (and {} more of its batch)', count(*) - 1) END,
        any_value(known),
        arg_min(first_type, stale."position"), min(first_missed),
        CASE min(missed_count) WHEN 1 THEN '' ELSE format(' and {} more', min(missed_count) - 1) END,
        any_value(fence_kind)
    ) AS because
FROM stale
LEFT JOIN log AS snapshot ON snapshot.run_id = stale.run_id AND snapshot."position" = known
GROUP BY stale.run_id, batch, known;
