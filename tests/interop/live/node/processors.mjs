// What the peer's workers do with a job, by its name. `handlers.py` does the same in Python.

import { setTimeout as sleep } from 'node:timers/promises';

import { SEED } from './seed.mjs';

/** Runs a job. */
export async function runJob(job, token, help) {
  const run = PROCESSORS[job.name];
  if (!run) throw new Error(`no processor for ${job.name}`);
  return run(job, token, help);
}

const PROCESSORS = {
  ...SEED,

  /** Gives its data back. */
  echo: async (job) => job.data,

  /** Says which worker ran it, after a while. */
  who: async (job, token, help) => {
    await sleep(job.data.ms ?? 0);
    return help.name;
  },

  /** Fails as often as it is told to, then says which attempt it is. */
  flaky: async (job) => {
    if (job.attemptsMade < job.data.failures) throw new Error(`failure ${job.attemptsMade + 1}`);
    return job.attemptsMade + 1;
  },

  /** Fails for good. */
  hopeless: async (job, token, help) => {
    throw new help.bullmq.UnrecoverableError(job.data.reason);
  },

  /** Reports progress and writes a log. */
  report: async (job) => {
    for (const row of job.data.rows) await job.log(row);
    for (const progress of job.data.progress) await job.updateProgress(progress);
    await job.updateData({ ...job.data, reported: true });
    return 'reported';
  },

  /** Waits until it is told to go on. */
  hold: async (job, token, help) => {
    await help.hold(job.id);
    return 'released';
  },

  /** Asks to be run later, once. */
  postpone: async (job, token, help) => {
    if (job.attemptsStarted > 1) return job.attemptsMade;
    await job.moveToDelayed(Date.now() + job.data.ms, token);
    throw new help.bullmq.DelayedError();
  },

  /** Gives itself back, once. */
  giveBack: async (job, token, help) => {
    if (job.attemptsStarted > 1) return job.attemptsMade;
    await job.moveToWait(token);
    throw new help.bullmq.WaitingError();
  },

  /** Meets a rate limit, once. */
  limited: async (job, token, help) => {
    if (job.attemptsStarted > 1) return job.attemptsMade;
    await help.worker().rateLimit(job.data.ms);
    throw help.bullmq.Worker.RateLimitError();
  },

  /** Gives the values of its children, lowest first. */
  gather: async (job) => sorted(await job.getChildrenValues()),

  /** Adds children, waits for them, and gives their values. */
  spawn: async (job, token, help) => {
    if (!job.data.spawned) {
      const parent = { id: job.id, queue: job.queueQualifiedName };
      for (const number of job.data.numbers) {
        await help.queue(job.data.queue).add('echo', number, { parent });
      }
      await job.updateData({ ...job.data, spawned: true });
    }
    if (await job.moveToWaitingChildren(token)) throw new help.bullmq.WaitingChildrenError();
    return sorted(await job.getChildrenValues());
  },

  /** Gives what its children failed with, where that does not fail it. */
  mourn: async (job) => Object.values(await job.getIgnoredChildrenFailures()).sort(),
};

function sorted(values) {
  return Object.values(values).sort((one, other) => one - other);
}
