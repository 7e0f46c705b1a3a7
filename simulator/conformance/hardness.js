// Each hardness that `/control/hardness` knows, seen through wa-js: what the page does under it.

'use strict';

const path = require('node:path');
const { check, freshPhone, phones, run, step, until, within } = require('./harness');
const { WaJsPage } = require('./wa-js-page');

const CUSTOMER = '255711000001';
const GENTLE = { hard: false };

run('hardness', async ({ profile, onExit }) => {
  const phone = freshPhone();
  const directory = path.join(profile, 'page');
  await phones.harden(phone, { ...GENTLE, history: 9 });
  let page = await WaJsPage.open(directory, onExit);
  const reopened = async () => {
    page = await WaJsPage.open(directory, onExit);
    await page.ready();
  };
  await step('the page is linked', () => page.pair(phone));
  await step('history is there, is old, and is nothing new', () => history(page));
  await step('a query is late, refused, or never answered', () => queries(page, phone));
  await step('an acknowledgement that is lost leaves the send hanging, arrived or not', () => lostAcks(page, phone));
  await step('a send while offline hangs and goes out with the next connection', () => offline(page, phone));
  await step('what no life had an acknowledgement for goes out in the next', async () => {
    await unsent(page, phone);
    await reopened();
    await until(async () => (await phones.sent(phone)).some(({ body }) => body === 'from the disk'), 'the send');
    await phones.harden(phone, GENTLE);
  });
  await step('the page loads itself anew, again and again', () => reloads(page, phone));
  await step('a refused message comes with the next connection only', () => redelivery(page, phone));
  await step('memory holds as many messages as are set, the disk holds all', () => memory(page, phone));
  await step('a start costs the processor time that is set', async () => {
    await page.close();
    await startCost(phone, reopened);
  });
  await step('a page that connects early has its messages before wa-js is there', async () => {
    await page.close();
    await early(phone, reopened, () => page);
  });
  await step('a page that is behind sends once more what its recipient could not read', async () => {
    await page.close();
    await refusedRatchet(phone, reopened, () => page);
  });
  await step('a log-out that fails leaves the page linked; one that is late waits', () => logOut(page, phone));
  await page.close();
});

async function history(page) {
  const count = () => page.evaluate(() => window.WPP.whatsapp.MsgStore.getModelsArray().length);
  await until(async () => (await count()) === 9, 'nine messages');
  const newest = await page.evaluate(() => {
    const all = window.WPP.whatsapp.MsgStore.getModelsArray();
    return { isNew: all.some((message) => message.isNewMsg), t: Math.max(...all.map(({ t }) => t)) };
  });
  check(!newest.isNew && newest.t < Date.now() / 1_000 - 3_000, JSON.stringify(newest));
  check(!page.events.has((event) => event.name === 'message'), 'history was told as new');
}

async function queries(page, phone) {
  const ask = () =>
    page.evaluate((id) => {
      const began = performance.now();
      const asked = window.WPP.whatsapp.functions.queryWidExists(id).then(() => 'answered', ({ message }) => message);
      const late = new Promise((resolve) => setTimeout(() => resolve('silence'), 1_000));
      return Promise.race([asked, late]).then((outcome) => ({ outcome, ms: performance.now() - began }));
    }, '255799000003@c.us');
  await phones.harden(phone, { query_after_ms: 250 });
  const slow = await ask();
  check(slow.outcome === 'answered' && slow.ms >= 240, JSON.stringify(slow));
  await phones.harden(phone, { queries: 'refused' });
  check((await ask()).outcome === 'rate-overlimit', 'it was not refused');
  await phones.harden(phone, { queries: 'silent' });
  check((await ask()).outcome === 'silence', 'it was answered');
  await phones.harden(phone, GENTLE);
}

async function lostAcks(page, phone) {
  for (const [body, delivered] of [['arrived', true], ['did not', false]]) {
    await phones.harden(phone, { lost_acks: 1, lost_acks_delivered: delivered });
    const id = await begin(page, body);
    if (delivered) await until(async () => (await phones.sent(phone)).some((sent) => sent.body === body), body);
    check((await ackOf(page, id)) === 0, `its ack is ${await ackOf(page, id)}`);
    await page.send(CUSTOMER, body, { messageId: id });
    const { resends } = (await phones.sent(phone)).find((sent) => sent.body === body);
    check(resends.length === 1 && resends[0].delivered_before === delivered, JSON.stringify(resends));
    check(resends[0].cause === 'asked' && !resends[0].acknowledged_before, JSON.stringify(resends));
  }
}

// Begins a send and does not wait for it; its id.
async function begin(page, body) {
  return page.evaluate(
    async (chat, text) => {
      const id = await window.WPP.chat.generateMessageID(chat);
      window.WPP.chat.sendTextMessage(chat, text, { createChat: true, messageId: String(id) }).catch(() => {});
      while (!window.WPP.whatsapp.MsgStore.get(String(id))) await new Promise((resolve) => setTimeout(resolve, 5));
      return String(id);
    },
    `${CUSTOMER}@c.us`,
    body,
  );
}

const ackOf = (page, id) => page.evaluate((key) => window.WPP.whatsapp.MsgStore.get(key)?.ack, id);

async function offline(page, phone) {
  await phones.harden(phone, { unsent: 'wait' });
  await phones.drop(500, phone);
  await page.events.take((event) => event.name === 'online' && !event.online, 'conn.online false');
  const id = await begin(page, 'while offline');
  check((await ackOf(page, id)) === 0, 'it failed at once');
  await until(async () => (await ackOf(page, id)) > 0, 'the acknowledgement after the reconnect');
  await page.ready();
  const sent = (await phones.sent(phone)).filter(({ body }) => body === 'while offline');
  check(sent.length === 1 && sent[0].resends.length === 0, JSON.stringify(sent));
}

async function unsent(page, phone) {
  await phones.harden(phone, { lost_acks: 1, lost_acks_delivered: false });
  await begin(page, 'from the disk');
  const lost = async () => (await phones.hardness(phone)).lost_acks === 0;
  await until(lost, 'the send that is lost');
  await page.close();
}

async function reloads(page, phone) {
  const before = (await phones.connections(phone)).length;
  await phones.reload(phone, { times: 3, after_ms: 50 });
  await until(async () => (await phones.connections(phone)).length === before + 3, 'three more lives');
  await page.loaded();
  await page.ready();
}

async function redelivery(page, phone) {
  await phones.harden(phone, { redeliver_after_ms: 0 });
  await page.evaluate(() => {
    const { MsgCollection } = window.importNamespace('WAWebMsgCollection');
    const original = MsgCollection.processMultipleMessages;
    window.refusals = 0;
    MsgCollection.processMultipleMessages = async () => {
      window.refusals += 1;
      MsgCollection.processMultipleMessages = original;
      throw new Error('not durable yet');
    };
  });
  await phones.message(phone, CUSTOMER, 'with the next connection');
  await until(() => page.evaluate(() => window.refusals === 1), 'the refusal');
  await phones.message(phone, CUSTOMER, 'the one after it');
  await arrives(page, 'the one after it');
  check(!page.events.has(({ body }) => body === 'with the next connection'), 'it came again by itself');
  await phones.drop(100, phone);
  await arrives(page, 'with the next connection');
  await phones.harden(phone, GENTLE);
}

async function memory(page, phone) {
  await phones.harden(phone, { kept_in_memory: 3 });
  const ids = [];
  for (let number = 0; number < 5; number += 1) ids.push((await page.send(CUSTOMER, `one of five, ${number}`)).id);
  const held = await page.evaluate(() => window.WPP.whatsapp.MsgStore.getModelsArray().length);
  check(held === 3, `${held} in memory`);
  const found = await page.evaluate(async (id) => (await window.WPP.chat.getMessageById(id)).body, ids[0]);
  check(found === 'one of five, 0', found);
  await phones.harden(phone, GENTLE);
}

async function startCost(phone, reopened) {
  // More than a start takes without it.
  await phones.harden(phone, { start_cost_ms: 5_000 });
  const began = performance.now();
  await reopened();
  const took = performance.now() - began;
  check(took >= 5_000, `it started within ${took} ms`);
  await phones.harden(phone, GENTLE);
}

async function early(phone, reopened, current) {
  await phones.harden(phone, { connect_early: true });
  await phones.message(phone, CUSTOMER, 'before anybody looks');
  await reopened();
  const page = current();
  check(!page.events.has(({ body }) => body === 'before anybody looks'), 'it raised an event');
  const isThere = (body) => window.WPP.whatsapp.MsgStore.getModelsArray().some((m) => m.body === body && m.isNewMsg);
  check(await page.evaluate(isThere, 'before anybody looks'), 'it is not in the store');
  await phones.harden(phone, GENTLE);
}

async function refusedRatchet(phone, reopened, current) {
  await reopened();
  let page = current();
  await phones.harden(phone, { refuse_regressed: true });
  // The page's disk goes back by one message, as a restored profile's does.
  await page.send(CUSTOMER, 'lost from the disk');
  await page.evaluate(() => new Promise((resolve, reject) => {
    const opening = indexedDB.open('wawc');
    opening.onsuccess = () => {
      const messages = opening.result.transaction('messages', 'readwrite').objectStore('messages');
      messages.openKeyCursor(null, 'prev').onsuccess = ({ target }) => messages.delete(target.result.key);
      messages.transaction.oncomplete = () => resolve(opening.result.close());
      messages.transaction.onabort = reject;
    };
  }));
  await page.close();
  await reopened();
  page = current();
  check((await phones.connections(phone)).at(-1).regressed_by === 1, 'it is not behind');
  await page.send(CUSTOMER, 'who can read this?');
  const listed = async () => (await phones.sent(phone)).find(({ body }) => body === 'who can read this?');
  const { resends } = await until(listed, 'the send after the retry');
  check(resends.length === 1 && resends[0].cause === 'retry', JSON.stringify(resends));
  check(!resends[0].delivered_before && resends[0].acknowledged_to_life_at_ms, JSON.stringify(resends));
  await page.send(CUSTOMER, 'and this?');
  const next = (await phones.sent(phone)).find(({ body }) => body === 'and this?');
  check(next.resends.length === 0, 'the recipient asked again');
}

async function logOut(page, phone) {
  await phones.harden(phone, { failing_logouts: 1, logout_after_ms: 400 });
  const logout = () =>
    page.evaluate(() => window.WPP.whatsapp.Socket.logout().then(() => 'out', ({ message }) => message));
  check((await within(logout(), 'the refusal')) === 'internal-server-error', 'it was not refused');
  await phones.message(phone, CUSTOMER, 'still linked');
  await arrives(page, 'still linked');
  const began = performance.now();
  check((await within(logout(), 'the log-out')) === 'out', 'it was refused again');
  check(performance.now() - began >= 390, 'it did not wait');
  await page.loggedOut();
}

const arrives = (page, body) =>
  page.events.take((event) => event.name === 'message' && event.body === body, `message ${body}`);
