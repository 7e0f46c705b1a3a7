// Somebody without a business, in five steps to an answered message: the link, what is asked for, its approval, the scan, the message.

'use strict';

const fs = require('node:fs');
const { choosesPassword, dev } = require('./business.js');
const { ensure, judged, person, required, run, seen, until } = require('./people.js');

const BUSINESS = { name: 'Duka la Newcomer', phone: '+255711000001' };

async function api(method, path, body) {
  const { http_addr: addr, token_file: file } = dev();
  const headers = { authorization: `Bearer ${fs.readFileSync(file, 'utf8').trim()}`, 'content-type': 'application/json' };
  const answer = await fetch(`http://${addr}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  ensure(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

async function asks(page) {
  await page.goto(required('SETUP_URL'));
  await choosesPassword(page);
  await page.getByRole('heading', { name: 'Which business is it?' }).waitFor();
  await seen(page, 'setup-form');
  await page.getByLabel('Name of the business').fill(BUSINESS.name);
  await page.getByLabel('Its WhatsApp number').fill('0711 000 001');
  await page.getByLabel('What is it to do?').selectOption('Sell');
  await page.getByLabel('What it says first').fill('Karibu <b>{business}</b>!');
  await page.getByRole('button', { name: 'Ask for it' }).click();
  await page.getByRole('alert').getByText('country code').waitFor();
  ensure((await page.getByLabel('Name of the business').inputValue()) === BUSINESS.name, 'what was typed is lost');
  await seen(page, 'setup-wrong');
  await page.getByLabel('Its WhatsApp number').fill('+255 711 000 001');
  await page.getByRole('button', { name: 'Ask for it' }).click();
  await page.getByRole('heading', { name: `Asked for: ${BUSINESS.name}` }).waitFor();
  await seen(page, 'setup-submitted');
}

async function isDecided(page) {
  const submitted = async () => (await api('GET', 'setupRequests?state=SETUP_REQUEST_STATE_SUBMITTED')).setupRequests[0];
  const first = await submitted();
  await api('POST', `setupRequests/${first.id}:reject`, { reason: 'Which <i>shop</i> is it?' });
  // The page says so by itself.
  await page.getByText('Which <i>shop</i> is it?').waitFor();
  await seen(page, 'setup-rejected');
  await page.getByRole('button', { name: 'Ask for it' }).click();
  await page.getByRole('heading', { name: `Asked for: ${BUSINESS.name}` }).waitFor();
  await api('POST', `setupRequests/${(await submitted()).id}:approve`, {});
  await page.getByRole('heading', { name: `Set up: ${BUSINESS.name}` }).waitFor();
  await seen(page, 'setup-approved');
  await page.getByRole('link', { name: 'Go to the business' }).click();
}

// With the page that stands for a phone, as somebody tries it: the code is typed, and a customer writes.
async function isLinkedAndAnswered(browser, page) {
  await page.getByRole('button', { name: 'Link with a code to type' }).click();
  const code = await page.locator('.code output').textContent();
  const phone = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage();
  await phone.goto(dev().phone_url);
  // The card of the status was renewed since.
  await page.waitForFunction(() => document.getElementById('live').querySelector('time, .qr, form'));
  await seen(page, 'code');
  await phone.getByLabel('Its number').first().fill(BUSINESS.phone);
  await phone.getByLabel('The code that the portal shows').fill('WRONGONE');
  await phone.getByRole('button', { name: 'Link the device', exact: true }).click();
  await phone.getByRole('status').filter({ hasText: 'code' }).waitFor();
  await phone.getByLabel('The code that the portal shows').fill(code);
  await phone.getByRole('button', { name: 'Link the device', exact: true }).click();
  await phone.getByText('The device is linked.').waitFor();
  await page.getByRole('heading', { name: 'Connected' }).waitFor();
  await phone.getByLabel('Message').fill('Habari');
  await phone.getByRole('button', { name: 'Send', exact: true }).click();
  await phone.locator('li.in', { hasText: `Karibu <b>${BUSINESS.name}</b>!` }).waitFor();
  await judged(phone, 'the phone');
  if (process.env.PHONE_PICTURE) await phone.screenshot({ path: process.env.PHONE_PICTURE });
  await phone.context().close();
}

run(async (browser) => {
  const page = await person(browser);
  await asks(page);
  await isDecided(page);
  await isLinkedAndAnswered(browser, page);
  await page.goto(new URL('/setup', required('PORTAL_URL')).href);
  await until('what was asked for is active', async () => {
    await page.reload();
    return page.getByRole('heading', { name: `Set up and linked: ${BUSINESS.name}` }).isVisible();
  });
});
