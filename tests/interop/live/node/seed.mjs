// What the site's old worker does with the jobs of its queues `email` and `export`, as far as it
// matters to the queue: each run is told, what is called unlucky fails the first time, and what is
// called slow lasts until it is let go.

/** Sends a mail. */
async function mail(job, token, help) {
  run(job, job.data.toEmail, help);
  if (job.data.toEmail.startsWith('slow')) await help.hold(job.id);
  return `sent to ${job.data.toEmail}`;
}

/** Makes an export; gives its URL. */
async function write(job, token, help) {
  run(job, job.data.exportJobId, help);
  return `https://files.example/${job.data.exportJobId}`;
}

function run(job, whom, help) {
  const fails = whom.startsWith('unlucky') && job.attemptsMade === 0;
  help.tell(job, fails);
  if (fails) throw new Error('try again later');
}

export const SEED = {
  welcome: mail,
  verification: mail,
  password_reset: mail,
  notification: mail,
  USER_DATA: write,
  ANALYTICS: write,
};
