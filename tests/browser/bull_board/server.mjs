/**
 * Bull Board as a program for tests: `node server.mjs <redis url>`.
 *
 * It says its port in a line of JSON, and ends when its input is closed, so
 * that it never outlives the tests. Bull Board shows the queues it is told of alone: the tests put
 * them on the board, and take them off again, under /shown.
 */
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { HonoAdapter } from "@bull-board/hono";
import { serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { Queue } from "bullmq";
import { Hono } from "hono";

const redis = new URL(process.argv[2]);
const connection = {
  host: redis.hostname,
  port: Number(redis.port),
  db: Number(redis.pathname.slice(1) || 0),
};

const adapter = new HonoAdapter(serveStatic).setBasePath("/board");
const board = createBullBoard({
  queues: [],
  serverAdapter: adapter,
  options: {
    // A job of ours that Bull Board reads, but not as its own schema has it, is an error 500.
    validateResponses: true,
    uiConfig: { locale: { lng: "en-US" }, pollingInterval: { forceInterval: 1 } },
  },
});

const shown = new Map();

async function hide(name) {
  board.removeQueue(name);
  await shown.get(name)?.close();
  shown.delete(name);
}

const app = new Hono();
app.route("/board", adapter.registerPlugin());

app.put("/shown/:name", async (context) => {
  const name = context.req.param("name");
  await hide(name);
  const queue = new Queue(name, { connection, prefix: context.req.query("prefix") });
  await queue.waitUntilReady();
  shown.set(name, queue);
  board.addQueue(new BullMQAdapter(queue));
  return context.body(null, 204);
});

app.delete("/shown/:name", async (context) => {
  await hide(context.req.param("name"));
  return context.body(null, 204);
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  console.log(JSON.stringify({ port }));
});

process.stdin.resume().on("end", () => process.exit(0));
