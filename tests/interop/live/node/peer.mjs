// The Node side of the live interop suite: public BullMQ, steered by lines of JSON.
//
// usage: node peer.mjs <folder with node_modules> <package> <redis url>
//
// Each line on stdin is a command, {"id", "command", ...arguments}. Each is answered on stdout by
// {"id", "result"} or {"id", "error": {"name", "message"}}, in the order in which they end. Lines
// with "notice" are not answers: they tell what workers and event streams report meanwhile.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Session } from './session.mjs';

const [folder, packageName, url] = process.argv.slice(2);

function write(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function answer(session, { id, command, ...given }) {
  try {
    write({ id, result: (await session.run(command, given)) ?? null });
  } catch (error) {
    write({ id, error: { name: error.name, message: error.message } });
  }
}

const load = createRequire(join(folder, 'package.json'));
const session = new Session(load(packageName), new URL(url), write);

// What nobody awaits must end the peer loudly, not leave a test waiting.
process.on('unhandledRejection', (error) => {
  process.stderr.write(`unhandled rejection: ${error?.stack ?? error}\n`);
  process.exit(1);
});

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => answer(session, JSON.parse(line)));
lines.on('close', () => process.exit(0));
