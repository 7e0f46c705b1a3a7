// An admin comes in with a phone that makes codes, sees a node die and its tenant come back, and restarts a worker.

'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const { ensure, judgedWide, person, pictured, required, run, seen, until } = require('./people');

const PASSWORD = 'samaki kavu soko';
const EMAIL = 'admin@roost.example';
const STEP_MS = 30_000;

const dev = () => JSON.parse(fs.readFileSync(required('DEV_JSON'), 'utf8'));
const at = (path) => new URL(path, required('PORTAL_URL')).href;

function bytesOf(base32) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...base32].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

// RFC 6238, as a phone does it.
function codeOf(secret, step) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = crypto.createHmac('sha1', secret).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

const now = () => Math.floor(Date.now() / STEP_MS);

async function comesIn(page) {
  await page.goto(required('PORTAL_URL'));
  await seen(page, 'console-welcome');
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('The same once more').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/console/phone');
  const picture = await page.locator('.qr img').evaluate((image) => image.decode().then(() => image.naturalWidth));
  ensure(picture > 0, 'the picture for the phone is none');
  const typed = (await page.locator('.secret').textContent()).replaceAll(/\s/g, '');
  await page.goto(at('/console'));
  await page.waitForURL('**/sign-in');
  await page.goto(at('/console/phone'));
  const secret = bytesOf(typed);
  await page.getByLabel('The code').fill(codeOf(secret, now()));
  await page.keyboard.press('Enter');
  await page.waitForURL('**/console');
  return secret;
}

async function signsInAgain(page, secret) {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  await page.getByLabel('E-mail address').fill(EMAIL);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/console/code');
  await seen(page, 'console-code');
  await page.getByLabel('six digits').fill('000000');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  // That of the next step counts already.
  await page.getByLabel('six digits').fill(codeOf(secret, now() + 1));
  await page.keyboard.press('Enter');
  await page.waitForURL('**/console');
}

// A node dies, and whoever has the overview open is told.
async function seesANodeDie(page) {
  await page.getByText('Nothing is stuck.').first().waitFor();
  await judgedWide(page, 'console-overview');
  await page.evaluate(() => {
    window.isTheSamePage = true;
  });
  const victim = required('OWNER');
  process.kill(dev().nodes.find((node) => node.id === victim).pid, 'SIGKILL');
  await until('the overview says that the node is gone', async (note) => {
    const told = await page.locator('.lately').innerText();
    note(told);
    return told.split('\n').some((event) => event.includes(victim) && /gone|left|lost/.test(event));
  });
  await until('its tenant answers elsewhere', () => page.locator('.counts', { hasText: 'Answering' }).first().textContent().then((text) => /Answering\s*1/.test(text)));
  ensure(await page.evaluate(() => window.isTheSamePage), 'the page was loaded again');
  await judgedWide(page, 'console-after-failover');
  await pictured(page, 'console-overview');
}

async function restartsATenant(page) {
  await page.getByRole('link', { name: 'Tenants', exact: true }).click();
  await page.getByLabel('Id, name or number begins with').fill('demo');
  await page.getByRole('button', { name: 'Look' }).click();
  await page.getByRole('link', { name: 'demo-1' }).waitFor();
  await judgedWide(page, 'console-tenants');
  await pictured(page, 'console-tenants');
  await page.getByRole('link', { name: 'demo-1' }).click();
  await page.getByRole('heading', { name: 'demo-1' }).waitFor();
  const restarts = () => page.locator('.figures div', { hasText: 'Restarts' }).first().locator('dd').textContent().then(Number);
  const before = await restarts();
  await page.getByLabel('Why').fill('a test');
  await page.getByRole('button', { name: 'Restart', exact: true }).click();
  await until('the restart is counted', async () => (await restarts()) > before);
  await page.getByRole('heading', { name: 'Answering' }).waitFor();
  await judgedWide(page, 'console-tenant');
  await pictured(page, 'console-tenant');
}

async function looksAround(page) {
  for (const [link, heading] of [['Nodes', 'Nodes'], ['Operations', 'Operations'], ['Dead letters', 'Dead letters'], ['Audit', 'Audit']]) {
    await page.getByRole('navigation').getByRole('link', { name: link, exact: true }).click();
    await page.getByRole('heading', { name: heading, exact: true }).waitFor();
    await judgedWide(page, `console-${link.toLowerCase().replace(' ', '-')}`);
  }
  await page.getByText('WorkerService/RestartWorker').first().waitFor();
  await page.goto(at('/console/nodes'));
  await page.getByRole('link', { name: 'node-' }).first().click();
  await page.getByRole('heading', { name: 'Its tenants' }).waitFor();
  await judgedWide(page, 'console-node');
  await page.goto(at('/console/tenants/demo-1/log'));
  await page.getByRole('heading', { name: 'Log' }).waitFor();
  await judgedWide(page, 'console-log');
}

// Nothing is left that could run it: the overview says so by itself.
async function seesWhatIsStuck(page) {
  await page.goto(at('/console'));
  await page.getByText('Nothing is stuck.').first().waitFor();
  for (const { pid } of dev().nodes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      ensure(error.code === 'ESRCH', error);
    }
  }
  const trouble = page.locator('.trouble', { hasText: 'demo-1' });
  await trouble.waitFor();
  ensure(/roost|node/i.test(await trouble.locator('.hint').last().textContent()), 'nothing is said of how to mend it');
  await judgedWide(page, 'console-stuck');
  await pictured(page, 'console-stuck');
}

run(async (browser) => {
  const page = await person(browser);
  const secret = await comesIn(page);
  await signsInAgain(page, secret);
  await seesANodeDie(page);
  await restartsATenant(page);
  await looksAround(page);
  await seesWhatIsStuck(page);
});
