// The builds of the page and of wa-js: the sound ones drive, and each broken one breaks what it says, where it says, and no more.

'use strict';

const { check, freshPhone, phones, run, simulatorUrl, step, until } = require('./harness');
const { WA_JS, WaJsPage } = require('./wa-js-page');

const CUSTOMER = '255711000001';
// Several times as long as a sound page takes to attach, or to have an answer.
const NEVER_MS = 4_000;

run('builds', async ({ profile, onExit }) => {
  await step('bad input is refused with what is wrong', badInput);
  const phone = await phoneInHalf();
  const session = async (path, drive) => {
    const page = await WaJsPage.open(profile, onExit, { path: `/builds/${path}` });
    await drive(page);
    await page.close();
  };
  await step('linked where half of the phones cannot send, and it is one of them, a page sends nothing', () =>
    session('broken-sends.html?share=0.5', async (page) => {
      await page.pair(phone);
      await sendsNothing(page, phone);
    }));
  await step('the sound build receives and sends', () => session('sound.html', async (page) => {
    await page.ready();
    await receives(page, phone);
    await sends(page, phone);
  }));
  await step('with broken sends it receives, and nothing that it sends arrives', () =>
    session('broken-sends.html', async (page) => {
      await page.ready();
      await receives(page, phone);
      await sendsNothing(page, phone);
    }));
  const less = await shareWithout(phone);
  await step('where fewer phones cannot send, it sends', () => session(`broken-sends.html?share=${less}`, async (page) => {
    await page.ready();
    await sends(page, phone);
  }));
  await step('where sends break later, it sends until then', () => session('broken-sends.html?after=8000', async (page) => {
    await page.ready();
    await sends(page, phone);
    await until(() => page.evaluate(() => performance.now() >= 8_000), 'the moment');
    await sendsNothing(page, phone);
  }));
  await step('with broken look-ups nothing attaches', () =>
    attachesNever({ path: '/builds/broken-lookups.html?share=0.5' }, profile, onExit, phone));
  await step('where fewer phones have them, it attaches', () =>
    session(`broken-lookups.html?share=${less}`, (page) => page.ready()));
  await step('where they break later, it attaches, and then no module is found', () =>
    session('broken-lookups.html?after=5000', async (page) => {
      await page.ready();
      await until(() => page.evaluate(() => !window.require && !window.importNamespace), 'no module is found');
    }));
  await step('a broken build of wa-js never attaches', async () => {
    const request = { method: 'POST', body: WA_JS };
    const waJs = await fetch(`${simulatorUrl()}/builds/library/broken.js`, request).then((response) => response.text());
    await attachesNever({ waJs }, profile, onExit, phone);
  });
});

async function badInput() {
  for (const [path, status, problem] of [
    ['other.html', 404, 'there is no build'],
    ['sound', 404, 'there is no build'],
    ['broken-sends.html?share=2', 400, 'from 0 to 1'],
    ['broken-sends.html?share=many', 400, 'share'],
    ['broken-sends.html?after=-1', 400, 'after'],
    ['broken-sends.html?after=3600001', 400, 'an hour'],
    ['broken-sends.html?until=1', 400, 'until'],
  ]) {
    const response = await fetch(`${simulatorUrl()}/builds/${path}`);
    const { error } = await response.json();
    check(response.status === status && error.includes(problem), `${path}: ${response.status} ${error}`);
  }
  const foreign = await fetch(`${simulatorUrl()}/builds/library/broken.js`, { method: 'POST', body: 'window.WPP = {}' });
  check(foreign.status === 400, `a foreign text: ${foreign.status}`);
}

const isInShare = (phone, share) =>
  fetch(`${simulatorUrl()}/builds/share?phone=${phone}&share=${share}`).then((response) => response.json());

async function phoneInHalf() {
  for (;;) {
    const phone = freshPhone();
    if (await isInShare(phone, 0.5)) return phone;
  }
}

async function shareWithout(phone) {
  let share = 0.25;
  while (await isInShare(phone, share)) share /= 2;
  return share;
}

async function receives(page, phone) {
  const body = crypto.randomUUID();
  await phones.message(phone, CUSTOMER, body);
  await page.events.take((event) => event.name === 'message' && event.body === body, 'the message');
}

async function sends(page, phone) {
  const body = crypto.randomUUID();
  const { sendMsgResult } = await page.send(CUSTOMER, body);
  check(sendMsgResult?.messageSendResult === 'OK', JSON.stringify(sendMsgResult));
  check((await phones.sent(phone)).some((sent) => sent.body === body), 'it has not arrived');
}

async function sendsNothing(page, phone) {
  const before = await phones.sent(phone);
  const sending = page.evaluate((chat) => window.WPP.chat.sendTextMessage(chat, 'x', { waitForAck: true }), CUSTOMER);
  const outcome = await Promise.race([sending.catch((error) => error), pause(NEVER_MS)]);
  check(outcome === undefined, `it has come to an end: ${outcome}`);
  check((await phones.sent(phone)).length === before.length, 'something has arrived');
}

async function attachesNever(what, profile, onExit, phone) {
  const page = await WaJsPage.start(profile, onExit, what);
  const isConnected = async () => (await phones.connections(phone)).some(({ closed_at_ms: closedAt }) => closedAt === null);
  await until(isConnected, 'the page is connected');
  await pause(NEVER_MS);
  const hasAttached = await page.evaluate(() => window.WPP.loader.isInjected || window.WPP.isReady);
  check(hasAttached === false, `it has attached: ${hasAttached}`);
  await page.close();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
