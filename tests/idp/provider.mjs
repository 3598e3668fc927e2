// A real identity provider for the tests: `node provider.mjs`, on a free port that its first line names.
//
// Its own pages ask for a login and then for consent. Whoever logs in as one of these accounts is
// that person; any password will do.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const ACCOUNTS = {
  ada: { email: "ada@example.com", email_verified: true, groups: ["finance", "leads"] },
  mary: { email: "mary@example.com", email_verified: true },
  grace: { email: "grace@example.com", email_verified: false, groups: ["finance"] },
  quiet: { email: "quiet@example.com" },
  nameless: { groups: ["finance"] },
  crowd: { email: "group:finance", email_verified: true },
  lines: { email: "ada@example.com\nSet-Cookie: a=b", email_verified: true },
  strange: { email: "eve@example.com", email_verified: true, groups: { finance: true } },
  numbers: { email: "eve@example.com", email_verified: true, groups: ["finance", 7] },
  sole: { email: "sole@example.com", email_verified: true, groups: "finance" },
  many: {
    email: "many@example.com",
    email_verified: true,
    groups: Array.from({ length: 201 }, (_, i) => `g${i}`),
  },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  // A native client: any port of this machine may be sent back to, as each test's inbox has its own.
  const client = {
    redirect_uris: ["http://127.0.0.1/sign-in/oidc/callback"],
    application_type: "native",
    grant_types: ["authorization_code"],
    response_types: ["code"],
  };
  const provider = new Provider(issuer, {
    clients: [
      { ...client, client_id: "clearance", client_secret: "a secret of the tests" },
      { ...client, client_id: "public", token_endpoint_auth_method: "none" },
    ],
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      groups: ["groups"],
      profile: ["name"],
    },
    pkce: { required: () => true },
    cookies: { keys: ["cookies of the tests"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});

// Ends with whoever started it.
process.stdin.on("end", () => process.exit(0)).resume();
