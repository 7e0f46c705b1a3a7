// The echo bot that the benchmark compares with: whatsapp-web.js as its documentation runs it, one Node.js process
// and one browser for one tenant. It answers every direct message with `echo: <message>`.
//
//   SIMULATOR_URL, SIMULATOR_TLS   the simulator's two addresses
//   PHONE                          the number to link
//   DATA_PATH                      where LocalAuth keeps the session
//   BROWSER                        the full chromium; headless is puppeteer's default
//   BROWSER_FLAGS                  a JSON array: these in the place of puppeteer's
//
// Prints {"ready":true,"pid":...,"browser_pid":...} as one line of JSON when it answers; ends on SIGTERM.

'use strict';

const { Client, LocalAuth } = require('whatsapp-web.js');
const { mappedFlags, phones } = require('./harness');

const phone = process.env.PHONE;
const dataPath = process.env.DATA_PATH;
if (!phone || !dataPath) throw new Error('set PHONE and DATA_PATH');
process.chdir(dataPath);
let stopping = false;

const ownFlags = process.env.BROWSER_FLAGS;
const flags = ownFlags
  ? { args: [...JSON.parse(ownFlags), ...mappedFlags(), 'about:blank'], ignoreDefaultArgs: true, pipe: true }
  : { args: mappedFlags() };

const client = new Client({
  authStrategy: new LocalAuth({ dataPath }),
  puppeteer: {
    headless: true,
    executablePath: process.env.BROWSER ?? '/usr/bin/chromium',
    ...flags,
    // By itself it kills the browser, which loses what it has not written of its localStorage.
    handleSIGTERM: false,
    handleSIGINT: false,
  },
});

client.on('qr', (code) => {
  phones.scan(code, phone).catch((error) => console.error(`the scan failed: ${error.message}`));
});
client.on('ready', () => {
  const ready = { ready: true, pid: process.pid, browser_pid: client.pupBrowser.process().pid };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
});
client.on('message', (message) => {
  if (!message.from.endsWith('@c.us')) return;
  client
    .sendMessage(message.from, `echo: ${message.body}`)
    .catch((error) => stopping || console.error(`a reply failed: ${error.message}`));
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    stopping = true;
    client.destroy().finally(() => process.exit(0));
  });
}

client.initialize().catch((error) => {
  console.error(`the bot did not start: ${error.stack ?? error}`);
  process.exit(1);
});
