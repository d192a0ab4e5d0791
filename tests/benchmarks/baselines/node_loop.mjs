// The ten checks of python_loop.py in Node.js: `node node_loop.mjs LOG`.
import { closeSync, openSync, readSync } from 'node:fs';

const MOVES = new Map(
  Object.entries({
    step_created: [1, ['', 'duplicate-step-created', 'duplicate-step-created', 'late-creation']],
    step_started: [2, ['orphan-step-event', '', '', 'step-restarted-after-outcome']],
    step_retrying: [2, ['orphan-step-event', '', '', 'step-restarted-after-outcome']],
    step_completed: [3, ['orphan-step-event', '', '', '']],
    step_failed: [3, ['orphan-step-event', '', '', '']],
    wait_created: [1, ['', 'duplicate-wait-created', '', 'late-creation']],
    wait_completed: [3, ['orphan-wait-completed', '', '', '']],
  }),
);
const TERMINAL = new Set(['run_completed', 'run_failed', 'run_cancelled']);
const DECISIONS = new Set(['step_created', 'wait_created', 'hook_created']);

function* lines(path) {
  const file = openSync(path, 'r');
  const chunk = Buffer.allocUnsafe(1 << 22);
  let kept = 0;
  for (;;) {
    const read = readSync(file, chunk, kept, chunk.length - kept, null);
    const end = kept + read;
    let start = 0;
    for (let at; (at = chunk.indexOf(10, start)) !== -1 && at < end; start = at + 1) {
      yield chunk.toString('utf8', start, at);
    }
    if (read === 0) {
      if (end > start) yield chunk.toString('utf8', start, end);
      break;
    }
    chunk.copy(chunk, 0, start, end);
    kept = end - start;
  }
  closeSync(file);
}

function read(path) {
  const runs = new Map();
  let newest = '';
  for (const line of lines(path)) {
    const event = JSON.parse(line);
    const row = {
      id: event.eventId,
      type: event.eventType,
      entity: event.correlationId ?? '',
      due: event.eventType === 'wait_created' ? event.eventData.resumeAt : '',
    };
    const run = runs.get(event.runId);
    if (run === undefined) runs.set(event.runId, [row]);
    else run.push(row);
    if (event.createdAt > newest) newest = event.createdAt;
  }
  return [runs, newest];
}

function check(events, newest) {
  const found = [];
  const stages = new Map();
  const kinds = new Map();
  const due = new Map();
  let ended = '';
  let conflicting = false;
  events.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  for (const { id, type, entity, due: resumeAt } of events) {
    if (entity === '') {
      if (TERMINAL.has(type)) {
        if (ended !== '' && type !== ended && !conflicting) {
          conflicting = true;
          found.push(['conflicting-terminals', id]);
        }
        ended ||= type;
      }
      continue;
    }
    if (ended !== '' && DECISIONS.has(type)) found.push(['event-after-terminal', id]);
    const stage = stages.get(entity) ?? 0;
    if (stage === 0) {
      const kind = entity.slice(0, 4);
      const body = entity.slice(5);
      const other = kinds.get(body);
      if (other === undefined) kinds.set(body, kind);
      else if (other !== kind) found.push(['ordinal-collision', id]);
    }
    const move = MOVES.get(type);
    if (move === undefined) {
      stages.set(entity, Math.max(stage, 1));
      continue;
    }
    const [reaches, accuses] = move;
    if (accuses[stage] !== '') found.push([accuses[stage], id]);
    if (reaches > stage) stages.set(entity, reaches);
    if (type === 'wait_created' && stage === 0) due.set(entity, resumeAt);
    else if (type === 'wait_completed') due.delete(entity);
  }
  if (ended === '') {
    for (const [wait, resumeAt] of due) if (resumeAt < newest) found.push(['orphaned-wait', wait]);
  }
  return found;
}

const [runs, newest] = read(process.argv[2]);
const counted = {};
for (const events of runs.values()) {
  for (const [name] of check(events, newest)) counted[name] = (counted[name] ?? 0) + 1;
}
console.log(JSON.stringify(Object.fromEntries(Object.entries(counted).sort())));
