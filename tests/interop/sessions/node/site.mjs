// A site whose users log in by NextAuth, and whose other calls under /api go to another server, as
// Next's rewrites send them: method, path, body and headers as they came, with X-Forwarded-*.
//
// Environment: MAJOR (4 or 5), STRATEGY (jwt or database), API_URL, AUTH_SECRET. Prints its URL, and
// in the database strategy each new session as a line of JSON.
import { Auth } from "@auth/core";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(import.meta.url);
const NextAuth = require("next-auth").default;
const { MAJOR, STRATEGY, API_URL, AUTH_SECRET } = process.env;
const USERS = JSON.parse(process.env.USERS);
const PADDING = "p".repeat(6000);

const server = createServer(async (request, response) => {
  try {
    if (request.url.startsWith("/api/auth/")) await authenticate(request, response);
    else if (request.url.startsWith("/api/")) await forward(request, response);
    else response.writeHead(200, { "content-type": "text/html" }).end("<title>Club</title>");
  } catch (error) {
    console.error(error);
    response.writeHead(500).end(String(error));
  }
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const SITE = `http://localhost:${server.address().port}`;
process.env.NEXTAUTH_URL = SITE;

const options = {
  secret: AUTH_SECRET,
  session: { strategy: STRATEGY },
  providers: [STRATEGY === "jwt" ? passwords() : links()],
  adapter: STRATEGY === "jwt" ? undefined : adapter(),
  callbacks: {
    // A token with much in it: its cookie is split into chunks.
    jwt: ({ token, user }) => (user?.email?.startsWith("big") ? { ...token, PADDING } : token),
  },
  logger: { error: console.error, warn() {}, debug() {} },
};
console.log(JSON.stringify({ url: SITE }));

function passwords() {
  return {
    id: "credentials",
    name: "Credentials",
    type: "credentials",
    credentials: { email: {} },
    options: {},
    authorize: ({ email }) => USERS.find((user) => user.email === email) ?? null,
  };
}

// The e-mail's link is printed instead of sent.
function links() {
  return {
    id: "email",
    name: "Email",
    type: "email",
    from: "club@example.org",
    maxAge: 600,
    options: {},
    sendVerificationRequest: ({ url }) => console.log(JSON.stringify({ link: url })),
  };
}

function adapter() {
  const links = new Map();
  const sessions = new Map();
  return {
    getUser: (id) => USERS.find((user) => user.id === id) ?? null,
    getUserByEmail: (email) => USERS.find((user) => user.email === email) ?? null,
    getUserByAccount: () => null,
    createUser: () => null,
    updateUser: (user) => ({ ...USERS.find(({ id }) => id === user.id), ...user }),
    createVerificationToken: (link) => (links.set(link.identifier, link), link),
    useVerificationToken: ({ identifier }) => links.get(identifier) ?? null,
    createSession(session) {
      sessions.set(session.sessionToken, session);
      console.log(JSON.stringify({ session }));
      return session;
    },
    getSessionAndUser(sessionToken) {
      const session = sessions.get(sessionToken);
      return session ? { session, user: USERS.find(({ id }) => id === session.userId) } : null;
    },
    updateSession: (session) => session,
    deleteSession: (sessionToken) => sessions.delete(sessionToken),
  };
}

async function authenticate(request, response) {
  const body = await text(request);
  if (MAJOR === "5") {
    const { method, headers } = request;
    const asked = new Request(SITE + request.url, { method, headers, body: body || undefined });
    const answer = await Auth(asked, { ...options, basePath: "/api/auth", trustHost: true });
    response.statusCode = answer.status;
    for (const [name, value] of answer.headers) response.appendHeader(name, value);
    response.end(await answer.text());
    return;
  }
  // What Next adds to the request and the response of a route under pages/api.
  const url = new URL(request.url, SITE);
  request.query = Object.fromEntries(url.searchParams);
  request.query.nextauth = url.pathname.split("/").slice(3);
  request.body = Object.fromEntries(new URLSearchParams(body));
  request.cookies = Object.fromEntries(
    (request.headers.cookie ?? "")
      .split("; ")
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf("=")), decodeURIComponent(pair.slice(pair.indexOf("=") + 1))]),
  );
  response.status = (status) => ((response.statusCode = status), response);
  response.send = (content) => (typeof content === "object" ? response.json(content) : response.end(content));
  response.json = (content) => response.setHeader("content-type", "application/json").end(JSON.stringify(content));
  response.redirect = (status, place) => response.writeHead(status, { location: place }).end();
  await NextAuth(request, response, options);
}

async function forward(request, response) {
  const { host, connection, "content-length": _, ...headers } = request.headers;
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : await text(request);
  const answer = await fetch(API_URL + request.url, {
    method: request.method,
    headers: { ...headers, "x-forwarded-host": host, "x-forwarded-proto": "http", "x-forwarded-for": "203.0.113.9" },
    body,
    redirect: "manual",
  });
  const { "content-encoding": __, "transfer-encoding": ___, ...shown } = Object.fromEntries(answer.headers);
  response.writeHead(answer.status, shown).end(Buffer.from(await answer.arrayBuffer()));
}
