// A provider of OpenID Connect on loopback for one test: oidc-provider as it is, with somebody who signs in by himself, and with lies in its tokens
// where the test orders some. `node provider.mjs PORT CLIENT SECRET`; the test tells it who signs in, and all else, by POST /control.

import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

const [port, clientId, clientSecret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

function key() {
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

// Who signs in next, where he may be sent back to, and what is said wrong.
const told = { subject: 'asha', redirects: [], lie: null, refuses: false };
const keys = { own: key(), next: key(), foreign: key() };
let rotated = false;

const provider = new Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [`${issuer}/nowhere`], response_types: ['code'] }],
  jwks: { keys: [keys.own] },
  cookies: { keys: [randomUUID()] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@duka.example`, email_verified: true }) }),
  async loadExistingGrant({ oidc }) {
    const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid email');
    await grant.save();
    return grant;
  },
});

provider.Client.prototype.redirectUriAllowed = (uri) => told.redirects.includes(uri);

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

// The ID token with other claims, or signed by something else than the provider's key.
async function lied(token) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
  const { claims: others = {}, without = [], signed = 'own' } = told.lie ?? {};
  const said = { ...claims, ...others };
  for (const name of without) delete said[name];
  if (signed === 'not') {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'none' })}.${part(said)}.`;
  }
  if (signed === 'secret') {
    return new SignJWT(said).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(clientSecret));
  }
  const by = rotated ? keys.next : keys[signed === 'foreign' ? 'foreign' : 'own'];
  // A foreign key under the name of the provider's own.
  const kid = signed === 'foreign' ? keys.own.kid : by.kid;
  return new SignJWT(said).setProtectedHeader({ alg: 'RS256', kid }).sign(createPrivateKey({ key: by, format: 'jwk' }));
}

provider.use(async (ctx, next) => {
  if (ctx.path === '/control' && ctx.method === 'POST') {
    const { rotate, ...others } = await body(ctx.req);
    Object.assign(told, others);
    rotated ||= rotate ?? false;
    ctx.body = told;
    return;
  }
  if (ctx.path.startsWith('/interaction/')) {
    const result = told.refuses ? { error: 'access_denied' } : { login: { accountId: told.subject } };
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
    return;
  }
  if (ctx.path === '/token' && told.lie?.answers === 'redirect' && !ctx.query.followed) {
    // To where all is as it should be.
    ctx.redirect(`${issuer}/token?followed=1`);
    ctx.status = 307;
    return;
  }
  await next();
  if (ctx.path === '/token' && ctx.body?.id_token) {
    ctx.body.id_token = await lied(ctx.body.id_token);
    if (told.lie?.answers === 'large') ctx.body.padding = 'x'.repeat(300 << 10);
  }
  if (ctx.path === '/jwks' && rotated) {
    const { d, p, q, dp, dq, qi, ...open } = keys.next;
    ctx.body = { keys: [open] };
  }
  if (ctx.path === '/.well-known/openid-configuration' && told.lie?.discovery) {
    ctx.body = { ...ctx.body, ...told.lie.discovery };
  }
});

// At the second address it is somebody who is not on this machine.
for (const address of ['127.0.0.1', '127.0.0.2']) provider.listen(Number(port), address);
