// Serves the route handlers of a Next.js site, without Next: the same Request and Response objects, the request with
// `cookies` as Next adds them. Usage: node serve.mjs FOLDER; prints {"url": ...}.
import { createServer } from "node:http";
import { registerHooks } from "node:module";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
registerHooks({
  resolve: (name, context, next) =>
    next(name.startsWith("@/") ? pathToFileURL(`${folder}/${name.slice(2)}.ts`).href : name, context),
});
const routes = [
  [/^\/api\/exports(\/|$)/, await import(`${folder}/app/api/exports/[[...path]]/route.ts`)],
  [/^\/api\/queues\/status\/./, await import(`${folder}/app/api/queues/status/[...path]/route.ts`)],
];

function asRequest(incoming, signal) {
  const hasBody = !["GET", "HEAD"].includes(incoming.method);
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers,
    body: hasBody ? Readable.toWeb(incoming) : undefined,
    duplex: "half",
    signal,
  });
  const pairs = (incoming.headers.cookie ?? "").split("; ").filter(Boolean);
  const cookies = pairs.map((pair) => ({ name: pair.split("=")[0], value: pair.split("=").slice(1).join("=") }));
  return Object.assign(request, { cookies: { getAll: () => cookies } });
}

const server = createServer(async (incoming, outgoing) => {
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  const route = routes.find(([path]) => path.test(new URL(incoming.url, "http://site").pathname));
  const handle = route?.[1][incoming.method];
  try {
    const answer = handle ? await handle(asRequest(incoming, gone.signal)) : new Response(null, { status: 404 });
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
    outgoing.flushHeaders();
    if (answer.body) await pipeline(Readable.fromWeb(answer.body), outgoing);
    else outgoing.end();
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
