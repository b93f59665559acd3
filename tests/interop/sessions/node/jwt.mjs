// Makes a signed token of each algorithm with jose, and prints them with the public keys' JWK Set.
// Input: the claims and the shared secret as JSON.
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { text } from "node:stream/consumers";

const { claims, secret } = JSON.parse(await text(process.stdin));
const keys = [];
const tokens = {};
for (const alg of ["RS256", "PS256", "ES256", "ES384", "EdDSA"]) {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  keys.push({ ...(await exportJWK(publicKey)), kid: alg, use: "sig", alg });
  tokens[alg] = await new SignJWT(claims).setProtectedHeader({ alg, kid: alg, typ: "JWT" }).sign(privateKey);
}
tokens.HS256 = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
process.stdout.write(JSON.stringify({ jwks: { keys }, tokens }));
