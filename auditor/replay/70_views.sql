-- witness_detail: a witness with all that a reader needs to find the record in the log again.
CREATE VIEW audit.witness_detail AS
SELECT
    finding_no, place_in_proof, witness.role, record,
    log.run_id, log.event_id, log.event_type, log.correlation_id, log."position", log.created_at,
    coalesce(log.kind || coalesce('#' || entity.ordinal, ''), 'run') AS entity,
    event.step_name, event.event_no, event.fence_kind, event.fence_value, event.site, event.writer_id,
    source.name AS source, event.line, input.path AS input
FROM witness
JOIN log ON record = 'event' AND log.event_no = witness.no
JOIN event ON event.event_no = witness.no
JOIN source USING (source_id)
JOIN export USING (export_id)
JOIN input USING (input_id)
LEFT JOIN entity
    ON entity.run_id = log.run_id AND entity.kind = log.kind AND entity.correlation_id = log.correlation_id
UNION ALL BY NAME
SELECT
    finding_no, place_in_proof, witness.role, record,
    refusal.run_id, refusal.event_type, refusal.correlation_id, refused_at AS created_at,
    coalesce(split_part(refusal.correlation_id, '_', 1), 'run') AS entity,
    fence_kind, fence_value, site, writer_id, source.name AS source, refusal.line, input.path AS input
FROM witness
JOIN refusal ON record = 'refusal' AND refusal_no = witness.no
JOIN source USING (source_id)
JOIN export USING (export_id)
JOIN input USING (input_id)
UNION ALL BY NAME
SELECT
    finding_no, place_in_proof, witness.role, record,
    entity_row.run_id, entity_row.correlation_id, created_at, kind AS entity, step_name,
    source.name AS source, entity_row.line, input.path AS input
FROM witness
JOIN entity_row ON record = 'entity' AND entity_no = witness.no
JOIN source USING (source_id)
JOIN export USING (export_id)
JOIN input USING (input_id)
UNION ALL BY NAME
SELECT finding_no, place_in_proof, witness.role, record, 'run' AS entity, source.name AS source, input.path AS input
FROM witness
JOIN source ON record = 'export' AND source_id = witness.no
JOIN export USING (export_id)
JOIN input USING (input_id);
