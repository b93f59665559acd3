// What a test has open in the peer, and the commands that open, use and close it.

import { setTimeout as sleep } from 'node:timers/promises';

import { plain } from './plain.mjs';
import { runJob } from './processors.mjs';

const EVENTS = [
  'active', 'added', 'cleaned', 'completed', 'deduplicated', 'delayed', 'drained', 'duplicated',
  'failed', 'paused', 'progress', 'removed', 'resumed', 'retries-exhausted', 'stalled', 'waiting',
  'waiting-children',
];

export class Session {
  constructor(bullmq, url, notify) {
    this.bullmq = bullmq;
    this.connection = {
      host: url.hostname,
      port: Number(url.port),
      db: Number(url.pathname.slice(1)),
    };
    this.notify = notify;
    this.open = new Map();
    this.held = new Map();
  }

  /** Runs one command and gives its result as plain data. */
  async run(command, given) {
    if (!COMMANDS.has(command)) throw new Error(`no such command: ${command}`);
    return plain(this.bullmq, await this[command](given));
  }

  /** Calls a method of a queue. */
  async queue({ prefix, queue, method, args }) {
    return this.queueOf(prefix, queue)[method](...args);
  }

  /** Calls a method of a job. */
  async job({ prefix, queue, job, method, args }) {
    const found = await this.bullmq.Job.fromId(this.queueOf(prefix, queue), job);
    if (!found) throw new Error(`no such job: ${job}`);
    return found[method](...args);
  }

  /** Calls a method of a flow producer. */
  async flow({ prefix, method, args }) {
    const { FlowProducer } = this.bullmq;
    const make = () => new FlowProducer({ connection: this.connection, prefix });
    return this.once(`flow ${prefix}`, make)[method](...args);
  }

  /** Starts a worker and waits until it is ready. */
  async startWorker({ prefix, queue, worker, options }) {
    const help = {
      bullmq: this.bullmq,
      queue: (name) => this.queueOf(prefix, name),
      name: worker,
      worker: () => this.open.get(`worker ${worker}`),
      hold: (job) => this.hold(job),
      tell: (job, fails) =>
        this.notify({ notice: 'run', worker, queue, job: job.id, data: job.data, fails }),
    };
    const started = new this.bullmq.Worker(queue, (job, token) => runJob(job, token, help), {
      connection: this.connection,
      prefix,
      name: worker,
      ...options,
    });
    this.keep(`worker ${worker}`, started);
    await started.waitUntilReady();
  }

  /** Calls a method of a worker. */
  async worker({ worker, method, args }) {
    return this.open.get(`worker ${worker}`)[method](...args);
  }

  /** Lets a job go on that waits in `hold`, or comes to it soon. */
  async release({ job }) {
    for (let looks = 0; looks < 1_000 && !this.held.has(job); looks += 1) await sleep(10);
    this.held.get(job)?.();
    return this.held.delete(job);
  }

  /** Follows a queue's events, from its first. */
  async follow({ prefix, queue, events, custom }) {
    const followed = this.eventsOf(prefix, queue, events);
    for (const name of [...EVENTS, ...custom]) {
      // An event without members, such as `drained`, comes as its id alone.
      followed.on(name, (first, second) => {
        const [args, id] = second === undefined ? [{}, first] : [first, second];
        this.notify({ notice: 'event', events, name, args, id });
      });
    }
    await followed.waitUntilReady();
  }

  /** Waits for a job's result. */
  async waitUntilFinished({ prefix, queue, job, events, ttl }) {
    const found = await this.bullmq.Job.fromId(this.queueOf(prefix, queue), job);
    return found.waitUntilFinished(this.eventsOf(prefix, queue, events), ttl);
  }

  /** Publishes an event of one's own. */
  async publish({ prefix, queue, fields }) {
    const { QueueEventsProducer } = this.bullmq;
    const make = () => new QueueEventsProducer(queue, { connection: this.connection, prefix });
    await this.once(`publish ${prefix} ${queue}`, make).publishEvent(fields);
  }

  /** Closes everything; running jobs stay as they are. */
  async reset() {
    const closing = [...this.open].map(([key, one]) => one.close(key.startsWith('worker')));
    this.open.clear();
    await Promise.all(closing);
    for (const goOn of this.held.values()) goOn();
    this.held.clear();
  }

  queueOf(prefix, queue) {
    const make = () =>
      new this.bullmq.Queue(queue, {
        connection: this.connection,
        prefix,
        // Long enough for every event of the longest test.
        streams: { events: { maxLen: 400_000 } },
      });
    return this.once(`queue ${prefix} ${queue}`, make);
  }

  eventsOf(prefix, queue, events) {
    const make = () =>
      new this.bullmq.QueueEvents(queue, {
        connection: this.connection,
        prefix,
        lastEventId: '0',
      });
    return this.once(`events ${events}`, make);
  }

  once(key, make) {
    return this.open.get(key) ?? this.keep(key, make());
  }

  keep(key, one) {
    one.on?.('error', (error) =>
      this.notify({ notice: 'error', from: key, message: error.message }),
    );
    this.open.set(key, one);
    return one;
  }

  hold(job) {
    return new Promise((resolve) => this.held.set(job, resolve));
  }
}

const COMMANDS = new Set([
  'queue', 'job', 'flow', 'startWorker', 'worker', 'release', 'follow', 'waitUntilFinished',
  'publish', 'reset',
]);
