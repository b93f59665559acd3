// What BullMQ gives, as plain data that JSON can hold.

const JOB_FIELDS = [
  'id', 'name', 'data', 'progress', 'returnvalue', 'failedReason', 'stacktrace', 'attemptsMade',
  'attemptsStarted', 'stalledCounter', 'delay', 'priority', 'timestamp', 'processedOn',
  'finishedOn', 'processedBy', 'deduplicationId', 'repeatJobKey', 'parentKey', 'parent', 'opts',
];

/** Copies a value, with jobs as their public fields, at any depth. */
export function plain(bullmq, value) {
  if (value instanceof bullmq.Job) {
    return Object.fromEntries(JOB_FIELDS.map((name) => [name, value[name]]));
  }
  if (Array.isArray(value)) return value.map((item) => plain(bullmq, item));
  if (value && Object.getPrototypeOf(value) === Object.prototype) {
    const members = Object.entries(value).map(([name, item]) => [name, plain(bullmq, item)]);
    return Object.fromEntries(members);
  }
  return ['object', 'function'].includes(typeof value) && value ? String(value) : value;
}
