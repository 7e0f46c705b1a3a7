// @wppconnect/wa-js, unmodified, against the simulator over HTTP: the flow of a worker from QR to logout.

'use strict';

const { check, freshPhone, phones, run, step, until } = require('./harness');
const { WaJsPage } = require('./wa-js-page');

const CUSTOMER = '255711000001';

run('wa-js', async ({ profile, onExit }) => {
  const phone = freshPhone();
  let page = await WaJsPage.open(profile, onExit);

  const first = await step('the page shows a QR code', () => page.code());
  const code = await step('the code rotates and the former one is refused', async () => {
    await page.evaluate(() => window.WPP.conn.refreshQR());
    const refusal = await phones.scan(first, phone).catch((error) => error.message);
    check(/409 .*rotated/.test(refusal), `the rotated code was not refused: ${refusal}`);
    return page.code();
  });
  await step('the phone scans', () => phones.scan(code, phone));
  await step('the page is ready', () => page.ready());

  await step('a message comes in', async () => {
    await phones.message(phone, CUSTOMER, 'habari');
    const message = await page.events.take((event) => event.name === 'message', 'chat.new_message');
    check(message.from === `${CUSTOMER}@c.us`, `from ${message.from}`);
    check(message.body === 'habari' && !message.fromMe, `body ${message.body}`);
  });
  const sent = await step('a message goes out', () => sends(page, phone, 'nzuri'));
  await step('it is acknowledged by the server and delivered', async () => {
    for (const ack of [1, 2]) {
      await page.events.take((event) => event.name === 'ack' && event.ack === ack, `ack ${ack} of ${sent.id}`);
    }
  });
  await step('the same id sent again is listed once', async () => {
    await page.send(CUSTOMER, 'nzuri', { messageId: sent.id });
    const listed = await phones.sent(phone);
    check(listed.length === 1 && listed[0].resends.length === 1, JSON.stringify(listed));
  });
  await step('a bad recipient is refused', async () => {
    const refusal = await page.send('nobody', 'x').catch((error) => error.message);
    check(/invalid_wid|Invalid WID/.test(refusal), `not refused: ${JSON.stringify(refusal)}`);
  });
  await step('the server answers a question', async () => {
    const answer = await page.evaluate((id) => window.WPP.contact.queryExists(id), '255799000001@c.us');
    check(answer?.wid, `answer ${JSON.stringify(answer)}`);
  });

  await step('the browser is closed, and a message waits', async () => {
    // The page writes acknowledgements together, a moment later.
    await until(async () => (await page.evaluate(ackOnDisk, sent.id)) === 2, 'the acknowledgement on disk');
    await page.close();
    await phones.message(phone, CUSTOMER, 'bado upo?');
  });
  page = await step('the same profile is ready without a scan', async () => {
    const restarted = await WaJsPage.open(profile, onExit);
    await restarted.ready();
    return restarted;
  });
  await step('the waiting message is in the store', () =>
    until(() => page.evaluate(inStore, 'bado upo?'), 'the waiting message'));
  await step('the earlier send is found by its id', async () => {
    const found = await page.evaluate(async (id) => {
      const message = await window.WPP.chat.getMessageById(id);
      return { body: message.body, ack: message.ack };
    }, sent.id);
    check(found.body === 'nzuri' && found.ack === 2, JSON.stringify(found));
  });
  await step('no connection was behind, none overlapped', async () => {
    const connections = await phones.connections(phone);
    check(connections.length === 2, `${connections.length} connections`);
    check(connections.every((connection) => connection.regressed_by === 0), JSON.stringify(connections));
    check((await phones.overlaps(phone)).length === 0, 'overlaps');
  });

  await step('the page logs out', async () => {
    await page.logout();
    await until(() => phones.message(phone, CUSTOMER, 'x').then(() => false, (error) => /409/.test(error)), 'unlinked');
  });
  await step('it shows a QR code again', () => page.code());
  await step('a code that is typed on the phone links it too', () => linksByCode(page, phone));
  await page.close();
});

async function linksByCode(page, phone) {
  const ask = () => page.evaluate((number) => window.WPP.conn.genLinkDeviceCodeForPhoneNumber(number), phone);
  const refused = (typing, status) => typing.then(() => check(false, 'it linked'), (error) => check(error.message.includes(status), error.message));
  await phones.harden(phone, { link_code_ms: 1, link_codes: 2 });
  const late = await ask();
  await refused(phones.link(late, phone), '409');
  await phones.harden(phone, { link_code_ms: 60_000 });
  const code = await ask();
  check(/^[1-9A-Z]{8}$/.test(code), code);
  check(code === await page.evaluate(() => document.getElementById('app').textContent), 'the page does not show it');
  await refused(phones.link('AAAA-AAAA', phone), '400');
  const tooOften = await ask().catch((error) => error.message);
  check(tooOften.includes('rate-overlimit'), tooOften);
  await phones.link(`${code.slice(0, 4)}-${code.slice(4)}`, phone);
  await page.ready();
}

function inStore(body) {
  return window.WPP.whatsapp.MsgStore.getModelsArray().some((message) => message.body === body && message.isNewMsg);
}

// The acknowledgement of a message in the page's database.
function ackOnDisk(id) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('wawc');
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const reading = opening.result.transaction('messages').objectStore('messages').index('key').get(String(id));
      reading.onerror = () => reject(reading.error);
      reading.onsuccess = () => {
        opening.result.close();
        resolve(reading.result?.ack);
      };
    };
  });
}

async function sends(page, phone, body) {
  const result = await page.send(CUSTOMER, body);
  check(result.sendMsgResult?.messageSendResult === 'OK', JSON.stringify(result));
  const [received] = await phones.sent(phone);
  check(received.body === body && received.to === `${CUSTOMER}@c.us`, JSON.stringify(received));
  check(received.id === result.id, `${received.id} is not ${result.id}`);
  return result;
}
