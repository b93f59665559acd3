// Makes session tokens with the functions that NextAuth v4 and Auth.js v5 make their cookies with.
// Input: a JSON list of {name, major, secret, salt, claims, maxAge}. Output: an object, token by name.
import { encode as encode5 } from "@auth/core/jwt";
import { encode as encode4 } from "next-auth/jwt";
import { text } from "node:stream/consumers";

const tokens = {};
for (const { name, major, secret, salt, claims, maxAge } of JSON.parse(await text(process.stdin))) {
  tokens[name] =
    major === 4
      ? await encode4({ token: claims, secret, maxAge })
      : await encode5({ token: claims, secret, salt, maxAge });
}
process.stdout.write(JSON.stringify(tokens));
