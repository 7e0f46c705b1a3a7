// What the conformance scripts share: steps, waiting on conditions, the phones' side, a browser with a profile.

'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const puppeteer = require('puppeteer-core');

const DEADLINE_MS = 30_000;

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name} to the simulator's, see its announcement`);
  return value;
}

const simulatorUrl = () => required('SIMULATOR_URL').replace(/\/$/, '');
const tlsPort = () => required('SIMULATOR_TLS').split(':').pop();
const browserPath = () => process.env.BROWSER ?? '/usr/lib/chromium/chromium-headless-shell';

// The flags of a browser on a machine without a display. Chromium has no sandbox for root.
const flags = () => [
  ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

// https://web.whatsapp.com answered by the simulator.
const mappedFlags = () => [
  ...flags(),
  `--host-resolver-rules=MAP web.whatsapp.com:443 127.0.0.1:${tlsPort()}`,
  '--ignore-certificate-errors',
];

const control = (name, request) =>
  fetch(`${simulatorUrl()}/control/${name}`, { headers: { 'content-type': 'application/json' }, ...request });

async function call(method, name, body) {
  const response = await control(name, { method, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`/control/${name}: ${response.status} ${answer.error}`);
  return answer;
}

// The phones.
const phones = {
  scan: (code, phone) => call('POST', 'scan', { code, phone, pushname: 'Conformance' }),
  link: (code, phone) => call('POST', 'link', { code, phone, pushname: 'Conformance' }),
  message: (phone, from, body, more = {}) => call('POST', 'message', { phone, from, body, ...more }),
  logout: (phone) => call('POST', 'logout', { phone }),
  drop: (forMs, phone) => call('POST', 'drop', { phone, for_ms: forMs }),
  conflict: (phone) => call('POST', 'conflict', { phone }),
  outdated: (phone) => call('POST', 'outdated', { phone }),
  hang: (phone) => call('POST', 'hang', { phone }),
  reload: (phone, more = {}) => call('POST', 'reload', { phone, ...more }),
  hardness: (phone) => call('GET', `hardness?phone=${phone}`),
  // Settings of one phone, which need not be linked yet.
  harden: (phone, settings) => call('POST', 'hardness', { phone, ...settings }),
  sent: (phone) => call('GET', `sent?phone=${phone}`),
  connections: async (phone) =>
    (await call('GET', 'connections')).connections.filter((connection) => connection.phone === phone),
  overlaps: async (phone) => (await call('GET', 'connections')).overlaps.filter((overlap) => overlap.phone === phone),
};

// A number of this run's own, so that runs on one simulator do not meet.
const freshPhone = () => `2557${String(crypto.getRandomValues(new Uint32Array(1))[0] % 10 ** 9).padStart(9, '0')}`;

function within(promise, what, deadline = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadline} ms: ${what}`)), deadline);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Resolves with the first truthy answer of `probe`.
function until(probe, what, deadline = DEADLINE_MS) {
  let stopped = false;
  const poll = async () => {
    while (!stopped) {
      const answer = await probe();
      if (answer) return answer;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  };
  return within(poll(), what, deadline).finally(() => {
    stopped = true;
  });
}

// Events that something else waits for: each is kept until it is taken.
class Mailbox {
  #items = [];
  #waiting = [];

  put(item) {
    const index = this.#waiting.findIndex(({ wanted }) => wanted(item));
    if (index < 0) this.#items.push(item);
    else this.#waiting.splice(index, 1)[0].resolve(item);
  }

  has(wanted) {
    return this.#items.some(wanted);
  }

  take(wanted, what) {
    const index = this.#items.findIndex(wanted);
    if (index >= 0) return Promise.resolve(this.#items.splice(index, 1)[0]);
    return within(new Promise((resolve) => this.#waiting.push({ wanted, resolve })), what);
  }
}

async function step(name, action) {
  const started = performance.now();
  const result = await action();
  process.stdout.write(`ok   ${name} (${Math.round(performance.now() - started)} ms)\n`);
  return result;
}

function check(condition, message) {
  if (!condition) throw new Error(message);
}

function launch(profile, args = flags()) {
  return puppeteer.launch({ executablePath: browserPath(), headless: 'shell', userDataDir: profile, args });
}

// Runs a script with a profile directory of its own. Whatever happens, its browsers and its profile are gone after.
async function run(name, script) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'roost-conformance-'));
  const cleanups = [];
  let failure;
  try {
    await script({ profile, onExit: (cleanup) => cleanups.push(cleanup) });
  } catch (error) {
    failure = error;
  }
  for (const cleanup of cleanups) await within(cleanup(), 'clean-up', 10_000).catch(() => {});
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  if (failure) {
    process.stdout.write(`FAIL ${name}: ${failure.stack ?? failure}\n`);
    process.exit(1);
  }
  process.stdout.write(`done ${name}\n`);
  process.exit(0);
}

module.exports = {
  browserPath,
  check,
  control,
  flags,
  freshPhone,
  launch,
  Mailbox,
  mappedFlags,
  phones,
  run,
  simulatorUrl,
  step,
  until,
  within,
};
