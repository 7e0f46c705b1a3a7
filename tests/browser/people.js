// What the scripts share: a browser, waiting, the phones' side, what axe and a screen reader find, pictures and golden texts.

'use strict';

const fs = require('node:fs');
const path = require('node:path');
const axe = require('axe-core');
const { chromium } = require('playwright-core');

const DEADLINE_MS = 60_000;

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}: the test that starts this script does`);
  return value;
}

// Golden texts and pictures are written anew when they are to be.
const updates = process.env.ROOST_UPDATE_GOLDEN === '1';
const golden = path.join(__dirname, 'golden');
const pictures = path.join(__dirname, '..', '..', 'docs', 'pictures');

const launch = () =>
  chromium.launch({
    executablePath: process.env.BROWSER ?? '/usr/lib/chromium/chromium-headless-shell',
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });

// A person's browser: a phone held upright unless it says something else.
async function person(browser, settings = {}) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: 'en', timezoneId: 'UTC', ...settings });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  page.on('pageerror', (error) => fail(`a script of the page failed: ${error}`));
  page.on('console', (told) => {
    if (told.type() === 'error' && told.text().includes('Content Security Policy')) fail(told.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    const isOwn = url.protocol === 'data:' || url.host === new URL(required('PORTAL_URL')).host;
    if (!isOwn) fail(`the page asks ${url} for something`);
  });
  return page;
}

const failures = [];
const fail = (what) => failures.push(what);

function ensure(holds, what) {
  if (!holds) throw new Error(what);
}

async function control(method, name, body) {
  const url = `${required('SIMULATOR_URL').replace(/\/$/, '')}/control/${name}`;
  const answer = await fetch(url, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  ensure(answer.ok, `/control/${name}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

// `holds` may note why it does not hold yet.
async function until(what, holds, deadline = DEADLINE_MS) {
  const end = Date.now() + deadline;
  let why = '';
  const note = (reason) => {
    why = ` (${reason})`;
  };
  while (!(await holds(note))) {
    ensure(Date.now() < end, `not within ${deadline} ms: ${what}${why}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Nothing of these impacts may be found on a page.
const IMPACTS = ['moderate', 'serious', 'critical'];

async function judged(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  for (const { id, impact, nodes } of violations) {
    if (IMPACTS.includes(impact)) fail(`${name}: ${id} (${impact}): ${nodes.map((node) => node.html).join(' ')}`);
  }
}

// What a screen reader has of a page, beside what it had when somebody last read it. What differs at each run is left out,
// as is what was announced: a page that was loaded later has announced less.
async function told(page, name) {
  const tree = (await page.locator('body').ariaSnapshot())
    .replace(/[A-Z][a-z]{2} \d{1,2}, \d{4}, \d{1,2}:\d{2}\s[AP]M/g, 'TIME')
    .replace(/\d{1,2} [A-Z][a-z]{2} \d{4}, \d{1,2}:\d{2}/g, 'TIME')
    .replace(/- status: .*/g, '- status')
    .replace(/\b[A-Z0-9]{4} [A-Z0-9]{4}\b/g, 'CODE')
    .replace(/roost_[\w-]+/g, 'SECRET');
  const file = path.join(golden, `${name}.yaml`);
  if (updates) {
    fs.mkdirSync(golden, { recursive: true });
    fs.writeFileSync(file, `${tree}\n`);
  }
  const known = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trimEnd() : '(nothing)';
  if (known !== tree) fail(`${name}: a screen reader is told\n${tree}\nand was told\n${known}`);
}

// Both ways in which its reader may have the page, for people who look at them.
async function pictured(page, name) {
  if (!updates) return;
  fs.mkdirSync(pictures, { recursive: true });
  const before = page.viewportSize();
  for (const [width, colorScheme] of [[390, 'light'], [390, 'dark'], [1280, 'light'], [1280, 'dark']]) {
    await page.setViewportSize({ width, height: width === 390 ? 844 : 800 });
    await page.emulateMedia({ colorScheme });
    const whose = name.startsWith('console-') ? name : `portal-${name}`;
    await page.screenshot({ path: path.join(pictures, `${whose}-${width}-${colorScheme}.png`) });
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}

// Each page that somebody sees is held to all of it.
async function seen(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await judged(page, `${name} in ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  if (wide) fail(`${name} has to be scrolled sideways`);
  await told(page, name);
  await pictured(page, name);
}

// One that shows what differs at each run: held to the same but for the words, on a phone and on a desk.
async function judgedWide(page, name) {
  const before = page.viewportSize();
  for (const width of [390, 1280]) {
    await page.setViewportSize({ width, height: 844 });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await judged(page, `${name} in ${colorScheme} at ${width}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    if (wide) fail(`${name} has to be scrolled sideways at ${width}`);
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}

async function run(script) {
  const browser = await launch();
  try {
    await script(browser);
  } catch (error) {
    failures.unshift(error.stack);
  } finally {
    await browser.close();
  }
  for (const failure of failures) console.error(`FAIL ${failure}`);
  process.exitCode = failures.length ? 1 : 0;
}

module.exports = { control, ensure, judged, judgedWide, person, pictured, required, run, seen, until };
