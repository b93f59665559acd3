// BullMQ on Node, used as its documentation says: addBulk, one Worker with `concurrency`.
//
// Locks, events, stalled check and retries are on as it is shipped. Completed jobs are removed at
// once unless the workload asks to keep some.

import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const LACKS = [];

const BATCH = 1000;
const JOB = 'mail';
const POLL_MS = 10;
const LINE = { sku: 'item-0001', quantity: 3, price: 19.99, tags: ['red', 'large'] };
const LINE_BYTES = JSON.stringify(LINE).length + 1;

// As in meter.py.
const HEAD = 4;
const FIELDS = 4;
const FOREIGN = 16;
const FLOAT = 8;

const modules = createRequire(`${process.env.BENCHMARK_MODULES}/package.json`);
const { FlowProducer, Queue, Worker } = modules('bullmq');

/** Seconds since the epoch, to the microsecond. */
const now = () => (performance.timeOrigin + performance.now()) / 1000;

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const say = (fields) => process.stdout.write(`${JSON.stringify(fields)}\n`);

/** This process's slot in the meter's file, written now and then, and the sum over all slots. */
class Meter {
  constructor(path, number) {
    this.file = openSync(path, 'r+');
    this.log = openSync(`${path}.latencies`, 'a');
    const head = this.floats(0, HEAD);
    this.slots = head[1];
    this.place = HEAD + FIELDS * (this.slots + FOREIGN - 1 - number);
    [this.ended, this.first, this.last] = [0, 0, 0];
  }

  begin(due) {
    if (!this.first) this.first = now();
    if (due) writeSync(this.log, Buffer.from(Float64Array.of(now() - due).buffer));
  }

  end() {
    this.ended += 1;
    this.last = now();
  }

  /** How many handlers have ended, in all processes; also tells the others this one's. */
  total() {
    const own = Float64Array.of(this.ended, this.first, this.last);
    writeSync(this.file, Buffer.from(own.buffer), 0, own.byteLength, this.place * FLOAT);
    const claimed = this.floats(0, 1)[0];
    return this.sum(0, claimed) + this.sum(this.slots, FOREIGN);
  }

  sum(start, count) {
    const floats = this.floats(HEAD + FIELDS * start, FIELDS * count);
    return floats.reduce((sum, value, index) => (index % FIELDS ? sum : sum + value), 0);
  }

  floats(start, count) {
    const floats = new Float64Array(count);
    readSync(this.file, Buffer.from(floats.buffer), 0, count * FLOAT, start * FLOAT);
    return floats;
  }

  close() {
    closeSync(this.file);
    closeSync(this.log);
  }
}

function dataOf(order, number) {
  const data = { to: `user${number}@example.com`, template: 'welcome' };
  if (order.payload_bytes) {
    const lines = Math.max(1, Math.floor(order.payload_bytes / LINE_BYTES));
    data.lines = Array(lines).fill(LINE);
  }
  return data;
}

function dueData(order, number) {
  return { ...dataOf(order, number), due: now() + (order.options.delay_ms ?? 0) / 1000 };
}

function optionsOf({ options }, number) {
  const opts = {};
  if (options.delay_ms) opts.delay = options.delay_ms;
  if (options.priorities) opts.priority = 1 + (number % options.priorities);
  return opts;
}

/** The numbers from `start` on, at most a batch, before `end`. */
function batch(start, end, size = BATCH) {
  return Array.from({ length: Math.min(size, end - start) }, (_, index) => start + index);
}

async function addBulk(queue, order) {
  for (let start = 0; start < order.jobs; start += BATCH) {
    const jobs = batch(start, order.jobs).map((number) => ({
      name: JOB,
      data: dataOf(order, number),
      opts: optionsOf(order, number),
    }));
    await queue.addBulk(jobs);
  }
}

async function addFromCallers(queue, order) {
  let next = 0;
  const call = async () => {
    while (next < order.jobs) {
      const number = next;
      next += 1;
      await queue.add(JOB, dataOf(order, number), optionsOf(order, number));
    }
  };
  await Promise.all(Array.from({ length: order.options.callers }, call));
}

async function addPaced(queue, order) {
  const start = performance.now();
  for (let number = 0; number < order.jobs; number += 1) {
    const wait = start + (number * 1000) / order.options.rate - performance.now();
    if (wait > 0) await sleep(wait);
    await queue.add(JOB, dueData(order, number), optionsOf(order, number));
  }
}

async function addFlows(order, connection) {
  const { children } = order.options;
  const flows = Math.floor(order.jobs / (children + 1));
  const size = Math.max(1, Math.floor(BATCH / (children + 1)));
  const producer = new FlowProducer({ connection });
  await producer.waitUntilReady();
  const node = (number, more) => ({
    name: JOB, queueName: order.queue, data: dataOf(order, number), ...more,
  });
  for (let start = 0; start < flows; start += size) {
    const trees = batch(start, flows, size).map((number) => node(number, {
      children: batch(0, children).map((child) => node(number * children + child)),
    }));
    await producer.addBulk(trees);
  }
  await producer.close();
}

function adding(order) {
  if (order.options.rate) return addPaced;
  if (order.options.callers) return addFromCallers;
  if (order.options.children) return (_, given) => addFlows(given, connectionOf(given));
  return addBulk;
}

async function enqueue(order) {
  const queue = new Queue(order.queue, { connection: connectionOf(order) });
  await queue.waitUntilReady();
  const [wall, cpu] = [performance.now(), cpuSeconds()];
  await adding(order)(queue, order);
  const seconds = (performance.now() - wall) / 1000;
  say({ jobs: order.jobs, seconds, cpu_seconds: cpuSeconds() - cpu });
  await queue.close();
}

async function work(order) {
  const meter = new Meter(order.meter, order.options.slot ?? 0);
  const { keep, metrics } = order.options;
  const worker = new Worker(order.queue, handlerOf(order, meter), {
    connection: { ...connectionOf(order), maxRetriesPerRequest: null },
    concurrency: order.concurrency,
    removeOnComplete: { count: keep ?? 0 },
    autorun: false,
    ...(metrics ? { metrics: { maxDataPoints: metrics } } : {}),
  });
  await worker.waitUntilReady();
  const [rss, cpu] = [process.memoryUsage.rss(), cpuSeconds()];
  const running = worker.run();
  say({ ready: true });
  while (meter.total() < order.jobs) await sleep(POLL_MS);
  meter.total();
  say({
    jobs: meter.ended,
    first: meter.first,
    last: meter.last,
    cpu_seconds: cpuSeconds() - cpu,
    rss_before: rss,
    rss_after: process.memoryUsage.rss(),
  });
  await worker.close();
  await running;
  meter.close();
}

function handlerOf(order, meter) {
  const wait = order.handler === 'sleep' ? order.sleep_ms : 0;
  return async (job) => {
    meter.begin(job.data.due);
    if (wait) await sleep(wait);
    meter.end();
  };
}

function connectionOf(order) {
  const url = new URL(order.url);
  return {
    host: url.hostname,
    port: Number(url.port || 6379),
    db: Number(url.pathname.slice(1) || 0),
    ...(url.username ? { username: decodeURIComponent(url.username) } : {}),
    ...(url.password ? { password: decodeURIComponent(url.password) } : {}),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

const order = JSON.parse(process.argv[3] ?? readFileSync(0, 'utf8'));
await { enqueue, work }[process.argv[2]](order);
