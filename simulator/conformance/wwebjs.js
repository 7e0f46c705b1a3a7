// whatsapp-web.js, unmodified, against the simulator in the place of https://web.whatsapp.com: QR to logout.

'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { browserPath, check, freshPhone, Mailbox, mappedFlags, phones, run, step, until, within } = require('./harness');

const CUSTOMER = '255711000001';
const named = (name) => (event) => event.name === name;

// whatsapp-web.js puts itself into the page at each navigation, and nobody waits for that: where the page's former document is still
// going, as it can be on a busy machine, that rejects unheard. Whoever runs the library puts it in again.
const OVERTAKEN = /Execution context was destroyed|detached Frame/;
let injected;
process.on('unhandledRejection', (error) => {
  if (!injected || !OVERTAKEN.test(error?.message)) throw error;
  const client = injected;
  until(() => client !== injected || client.inject().then(() => true, () => false), 'the library in the page').catch(() => {});
});

run('whatsapp-web.js', async ({ profile, onExit }) => {
  // The library keeps a copy of the page's HTML in the working directory.
  process.chdir(profile);
  const phone = freshPhone();
  let { client, events } = open(profile, onExit);

  const first = await step('the page shows a QR code', async () => {
    client.initialize().catch((error) => events.put({ name: 'failed', error }));
    return (await events.take(named('qr'), 'qr')).code;
  });
  const code = await step('the code rotates and the former one is refused', async () => {
    await client.pupPage.evaluate(() => window.require('WAWebCmd').Cmd.refreshQR());
    const { code: next } = await events.take(named('qr'), 'the next qr');
    const refusal = await phones.scan(first, phone).catch((error) => error.message);
    check(/409 .*rotated/.test(refusal), `the rotated code was not refused: ${refusal}`);
    return next;
  });
  await step('the phone scans', () => phones.scan(code, phone));
  await step('the client is authenticated and ready', async () => {
    await events.take(named('authenticated'), 'authenticated');
    await events.take(named('ready'), 'ready');
    check(client.info.wid._serialized === `${phone}@c.us`, `wid ${JSON.stringify(client.info.wid)}`);
    check(client.info.pushname === 'Conformance', `pushname ${client.info.pushname}`);
  });

  await step('a message comes in', async () => {
    await phones.message(phone, CUSTOMER, 'habari');
    const { message } = await events.take(named('message'), 'message');
    check(message.from === `${CUSTOMER}@c.us` && message.body === 'habari', JSON.stringify(message._data));
    check(message.to === `${phone}@c.us` && !message.fromMe, JSON.stringify(message._data));
    await within(message.reply('nzuri'), 'the reply');
  });
  await step('the reply goes out', () =>
    until(async () => (await phones.sent(phone)).some((sent) => sent.body === 'nzuri'), 'the reply at the server'));
  const sent = await step('a message goes out', async () => {
    const message = await within(client.sendMessage(`${CUSTOMER}@c.us`, 'karibu', { waitUntilMsgSent: true }), 'sending');
    check(message.fromMe && message.body === 'karibu', JSON.stringify(message?._data));
    const received = (await phones.sent(phone)).at(-1);
    check(received.body === 'karibu' && received.id === message.id._serialized, JSON.stringify(received));
    return message;
  });
  await step('it is acknowledged by the server and delivered', async () => {
    for (const ack of [1, 2]) {
      const wanted = (event) => event.name === 'ack' && event.ack === ack && event.id === sent.id._serialized;
      await events.take(wanted, `ack ${ack}`);
    }
  });

  await step('the browser is closed, and the same profile is ready without a scan', async () => {
    await client.destroy();
    ({ client, events } = open(profile, onExit));
    await within(client.initialize(), 'initialize');
    await events.take(named('ready'), 'ready');
    check(!events.has(named('qr')), 'it asked for a scan');
  });
  await step('a message comes in after the restart', async () => {
    await phones.message(phone, CUSTOMER, 'bado upo?');
    const { message } = await events.take(named('message'), 'message');
    check(message.body === 'bado upo?', message.body);
  });
  await step('the earlier send is found by its id', async () => {
    const found = await within(client.getMessageById(sent.id._serialized), 'getMessageById');
    check(found?.body === 'karibu', JSON.stringify(found?._data));
  });
  await step('no connection was behind, none overlapped', async () => {
    const connections = await phones.connections(phone);
    check(connections.length === 2, `${connections.length} connections`);
    check(connections.every((connection) => connection.regressed_by === 0), JSON.stringify(connections));
    check((await phones.overlaps(phone)).length === 0, 'overlaps');
  });

  await step('the client logs out', async () => {
    await within(client.logout(), 'logout');
    await until(() => phones.message(phone, CUSTOMER, 'x').then(() => false, (error) => /409/.test(error)), 'unlinked');
    // Its browser is on its way out meanwhile, and may write once more to what is being removed.
    await until(() => !fs.existsSync(path.join(profile, 'session')), 'the library to forget the session');
  });
  await step('a code that is typed on the phone links a new client', async () => {
    ({ client, events } = open(profile, onExit));
    client.initialize().catch((error) => events.put({ name: 'failed', error }));
    await events.take(named('qr'), 'qr');
    const code = await within(client.requestPairingCode(phone), 'requestPairingCode');
    check(/^[1-9A-Z]{8}$/.test(code), code);
    await phones.link(code, phone);
    await events.take(named('ready'), 'ready');
    check(client.info.wid._serialized === `${phone}@c.us`, `wid ${JSON.stringify(client.info.wid)}`);
  });
});

function open(profile, onExit) {
  const { Client, LocalAuth } = require('whatsapp-web.js');
  const events = new Mailbox();
  const client = new Client({
    authStrategy: new LocalAuth({ dataPath: profile }),
    puppeteer: { executablePath: browserPath(), headless: 'shell', args: mappedFlags() },
  });
  client.on('qr', (code) => events.put({ name: 'qr', code }));
  client.on('authenticated', () => events.put({ name: 'authenticated' }));
  client.on('ready', () => events.put({ name: 'ready' }));
  client.on('message', (message) => events.put({ name: 'message', message }));
  client.on('message_ack', (message, ack) => events.put({ name: 'ack', ack, id: message.id._serialized }));
  injected = client;
  onExit(() => {
    injected = undefined;
    return client.destroy();
  });
  return { client, events };
}
