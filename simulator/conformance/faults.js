// What the control API can do to a page, seen through wa-js: drop, deafness, conflict, eviction, an old profile,
// refusal of a message, an outdated client, logout by the phone. And what it answers to bad input.

'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { check, control, freshPhone, phones, run, step, until } = require('./harness');
const { WaJsPage } = require('./wa-js-page');

const CUSTOMER = '255711000001';

run('faults', async ({ profile, onExit }) => {
  await step('bad input is refused with what is wrong', badInput);
  const phone = freshPhone();
  // What the steps below are about, whatever the simulator was started with.
  await phones.harden(phone, { unsent: 'fail', redeliver_after_ms: 300 });
  const copy = path.join(profile, 'copy');
  const original = path.join(profile, 'original');
  let page = await WaJsPage.open(original, onExit);
  await step('the page is linked', () => page.pair(phone));

  await step('a dropped page goes offline, comes back and gets what it missed', () => dropped(page, phone));
  await step('a refused message is delivered again', () => refused(page, phone));
  await step('a deaf page stays connected and answers nothing; a reload heals it', () => deaf(page, phone));
  await step('a conflict closes the connection; taking over opens it', () => conflict(page, phone));
  await step('an outdated page needs an update; a reload is one', async () => {
    await phones.outdated(phone);
    await page.events.take((event) => event.name === 'needs_update', 'conn.needs_update');
    await page.reload();
    await page.ready();
  });

  await page.close();
  await step('nothing overlapped so far', async () => {
    check((await phones.overlaps(phone)).length === 0, 'overlaps');
  });
  fs.cpSync(original, copy, { recursive: true, filter: (file) => !path.basename(file).startsWith('Singleton') });
  page = await step('a copy of the profile evicts the original; the overlap is recorded', () =>
    evicted(original, copy, phone, onExit));
  await step('an old copy is behind by the messages it lacks', () => behind(page, original, phone, onExit));
  await step('the phone logs the device out', async () => {
    page = await WaJsPage.open(copy, onExit);
    await page.ready();
    await phones.logout(phone);
    await page.loggedOut();
    check(await page.code(), 'no code after the logout');
    await page.close();
  });
  await step('IndexedDB alone resumes nothing', () => halfSession(original, onExit));
});

async function badInput() {
  const cases = [
    ['scan', { code: 'x', phone: '255700000001' }, 404, 'code not known'],
    ['scan', { code: 'x', phone: 'me' }, 400, '`phone`'],
    ['scan', { phone: '255700000001' }, 400, 'code'],
    ['link', { code: 'ABCD-EFGH', phone: '19990000000' }, 404, 'asked for a code'],
    ['link', { code: 'ABCD-EFGH', phone: 'me' }, 400, '`phone`'],
    ['message', { phone: '19990000000', from: '255711000001', body: 'x' }, 404, 'scan'],
    ['message', { phone: '19990000000', from: '255711000001', body: 'x', chat: 'y' }, 400, '`chat`'],
    ['message', { phone: '19990000000', from: '255711000001', body: 'x', id: 'a_b' }, 400, '`id`'],
    ['message', { phone: '19990000000', from: '255711000001', body: 'x'.repeat(300_000) }, 413, 'limit'],
    ['drop', { phone: '19990000000', for_ms: -1 }, 400, 'for_ms'],
    ['hang', { telephone: '19990000000' }, 400, 'telephone'],
    ['hardness', { phone: '19990000000', ratchet: 1 }, 400, 'refuse_regressed'],
    ['nonsense', {}, 404, 'no such call'],
  ];
  for (const [name, body, status, part] of cases) {
    const answer = await control(name, { method: 'POST', body: JSON.stringify(body) });
    const { error } = await answer.json();
    check(answer.status === status && error.includes(part), `${name}: ${answer.status} ${error}`);
  }
  const notJson = await control('hang', { method: 'POST', body: Buffer.from([0x7b, 0xff, 0x7d]) });
  check(notJson.status === 400 && (await notJson.json()).error, `not JSON: ${notJson.status}`);
}

async function dropped(page, phone) {
  await phones.drop(300, phone);
  await page.events.take((event) => event.name === 'online' && !event.online, 'conn.online false');
  const failed = await page.send(CUSTOMER, 'while offline');
  check(failed.sendMsgResult.messageSendResult === 'ERROR_NETWORK', JSON.stringify(failed));
  await phones.message(phone, CUSTOMER, 'while you were away');
  await page.events.take((event) => event.name === 'online' && event.online, 'conn.online true');
  await arrives(page, 'while you were away');
  check((await page.state()).info === 'NORMAL', 'the stream is not normal');
}

async function refused(page, phone) {
  await page.evaluate(() => {
    const { MsgCollection } = window.importNamespace('WAWebMsgCollection');
    const original = MsgCollection.processMultipleMessages;
    MsgCollection.processMultipleMessages = async (...args) => {
      window.refusedOnce = true;
      MsgCollection.processMultipleMessages = original;
      await original.apply(MsgCollection, args);
      throw new Error('not durable yet');
    };
  });
  await phones.message(phone, CUSTOMER, 'twice, please', { id: 'REFUSED1' });
  await arrives(page, 'twice, please');
  check(await page.evaluate(() => window.refusedOnce), 'the wrapper was not called');
  await until(() => acknowledged(phone, 'REFUSED1'), 'the second delivery is acknowledged');
}

// A queued id is refused; one that the page has acknowledged can be used again.
async function acknowledged(phone, id) {
  return phones.message(phone, CUSTOMER, 'twice, please', { id }).then(() => true, () => false);
}

async function deaf(page, phone) {
  await phones.hang(phone);
  await phones.message(phone, CUSTOMER, 'can you hear me?');
  const answered = await page.evaluate((id) => {
    const late = new Promise((resolve) => setTimeout(() => resolve('silence'), 300));
    return Promise.race([window.WPP.whatsapp.functions.queryWidExists(id), late]);
  }, '255799000002@c.us');
  check(answered === 'silence', `a deaf page got ${JSON.stringify(answered)}`);
  const { socket, mode } = await page.state();
  check(socket === 'CONNECTED' && mode === 'MAIN', `${socket} ${mode}`);
  await page.reload();
  await page.ready();
  await until(() => page.evaluate(inStore, 'can you hear me?'), 'the message after the reload');
}

async function conflict(page, phone) {
  await phones.conflict(phone);
  await page.events.take((event) => event.name === 'mode' && event.mode === 'CONFLICT', 'mode CONFLICT');
  const closed = async () => (await phones.connections(phone)).every((connection) => connection.closed_at_ms);
  await until(closed, 'the connection is closed');
  await page.evaluate(() => window.WPP.whatsapp.Socket.takeover());
  await page.ready();
}

async function evicted(original, copy, phone, onExit) {
  const older = await WaJsPage.open(original, onExit);
  await older.ready();
  const newer = await WaJsPage.open(copy, onExit);
  await newer.ready();
  await older.events.take((event) => event.name === 'mode' && event.mode === 'CONFLICT', 'mode CONFLICT');
  const [overlap] = await until(async () => {
    const overlaps = await phones.overlaps(phone);
    return overlaps.length && overlaps.every(({ until_ms }) => until_ms) && overlaps;
  }, 'the overlap has ended');
  check(overlap.newer > overlap.older, JSON.stringify(overlap));
  await older.close();
  return newer;
}

async function behind(newer, original, phone, onExit) {
  await phones.message(phone, CUSTOMER, 'only the copy knows');
  await arrives(newer, 'only the copy knows');
  const text = 'this too';
  const { id } = await newer.send(CUSTOMER, text);
  await newer.close();
  const old = await WaJsPage.open(original, onExit);
  await old.ready();
  const { regressed_by: regressed } = (await phones.connections(phone)).at(-1);
  check(regressed === 2, `behind by ${regressed}`);
  // A life of its own: what is not on its disk it has not sent, and it sends it again.
  await old.send(CUSTOMER, text, { messageId: id });
  const { resends, life } = (await phones.sent(phone)).find((message) => message.id === id);
  const [resend] = resends;
  check(resend.acknowledged_before && !resend.sent_by_life && resend.life !== life, JSON.stringify(resends));
  await old.close();
}

async function halfSession(profile, onExit) {
  const linked = await WaJsPage.open(path.join(path.dirname(profile), 'half'), onExit);
  await linked.pair(freshPhone());
  await linked.evaluate(() => localStorage.clear());
  await linked.reload();
  check(await linked.code(), 'no code');
  await linked.close();
}

const arrives = (page, body) =>
  page.events.take((event) => event.name === 'message' && event.body === body, `message ${body}`);

function inStore(body) {
  return window.WPP.whatsapp.MsgStore.getModelsArray().some((message) => message.body === body && message.isNewMsg);
}
