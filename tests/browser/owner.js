// An owner with a phone in one hand: from the link of the invitation to the first answered message, and through the death of the machine
// that all of it ran on.

'use strict';

const fs = require('node:fs');
const { CUSTOMER, PASSWORD, choosesPassword, dev, isAnswered, isLinked } = require('./business.js');
const { control, ensure, person, required, run, seen, until } = require('./people.js');

async function comesIn(page) {
  await page.goto(required('PORTAL_URL'));
  await seen(page, 'welcome');
  // With the keyboard alone.
  await choosesPassword(page);
  await page.waitForURL('**/t/demo-1');
}

// Whoever has the link sees the code, as it renews itself, and needs no sign-in.
async function handedOn(browser, page) {
  await page.getByRole('button', { name: 'A link for somebody else to scan' }).click();
  const link = await page.locator('.link a').getAttribute('href');
  const other = await person(browser);
  await other.goto(link);
  await other.getByRole('heading', { name: 'Link your phone' }).waitFor();
  const first = await other.locator('.qr img').getAttribute('src');
  await other.waitForFunction((before) => {
    const now = document.querySelector('.qr img')?.src;
    return now && now !== before;
  }, first);
  await seen(other, 'scan-link');
  await page.getByRole('link', { name: 'Status', exact: true }).click();
  await page.getByRole('heading', { name: 'Link your phone' }).waitFor();
  return other;
}

async function links(browser, page, tenant) {
  await page.getByRole('heading', { name: 'Link your phone' }).waitFor();
  const first = await page.locator('.qr img').getAttribute('src');
  // The code renews itself, and the page with it.
  await page.waitForFunction((before) => {
    const now = document.querySelector('.qr img')?.src;
    return now && now !== before;
  }, first);
  await seen(page, 'scan');
  const other = await handedOn(browser, page);
  await isLinked(page, tenant);
  await other.getByText('A phone is linked.').waitFor();
  await seen(other, 'scan-linked');
  await other.context().close();
  const announced = page.locator('#announce');
  await until('whoever does not see it is told', async () => (await announced.textContent()) === 'Connected');
  await seen(page, 'connected');
}

async function reads(page, tenant) {
  await isAnswered(page, tenant, 'Is there fish? <b>fresh</b>');
  await seen(page, 'chats');
  await page.getByRole('link', { name: CUSTOMER }).click();
  await page.getByText('echo: Is there fish? <b>fresh</b>').waitFor();
  await page.getByText('Answered', { exact: true }).waitFor();
  ensure((await page.locator('.lines b').count()) === 0, 'what a customer wrote is markup in the page');
  await seen(page, 'chat');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export' }).click()]);
  const table = fs.readFileSync(await file.path(), 'utf8');
  ensure(table.includes('"in","answered","Is there fish? <b>fresh</b>"'), table);
  await page.getByRole('link', { name: 'All conversations' }).click();
  await page.getByLabel('A word or a number').fill('FISH');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Found for' }).waitFor();
  await seen(page, 'found');
  await page.getByLabel('A word or a number').fill('no such word');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing was found here.').waitFor();
  await page.getByRole('link', { name: 'Status' }).click();
  await page.getByRole('heading', { name: 'Connected' }).waitFor();
}

// A person answers in a conversation, and the automation does not meanwhile.
async function takesOver(page, tenant) {
  await page.getByRole('link', { name: 'Conversations', exact: true }).click();
  await page.getByRole('link', { name: CUSTOMER }).click();
  await page.getByRole('button', { name: 'Take over' }).click();
  await page.getByRole('heading', { name: 'You have this conversation' }).waitFor();
  await control('POST', 'message', { phone: tenant.phone, from: CUSTOMER, body: 'And octopus?' });
  // The page shows by itself what is written, and what was typed stays.
  await page.getByLabel('Your answer').fill('Tomorrow <i>morning</i>.');
  await page.getByText('And octopus?').waitFor();
  await page.getByText('Not answered: a person had the conversation').waitFor();
  await seen(page, 'chat-held');
  await page.getByRole('button', { name: 'Send' }).click();
  const sent = async () => (await control('GET', `sent?phone=${encodeURIComponent(tenant.phone)}`)).map((message) => JSON.stringify(message));
  await until('what the person says is sent', async () => (await sent()).some((message) => message.includes('Tomorrow <i>morning</i>.')));
  await page.locator('.lines li', { hasText: 'Tomorrow <i>morning</i>.' }).getByText('Sent', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Give it back' }).click();
  await page.getByRole('heading', { name: 'Answered by itself' }).waitFor();
  await isAnswered(page, tenant, 'anybody?');
  ensure(!(await sent()).some((message) => message.includes('echo: And octopus?')), 'the automation answered in a held conversation');
  await page.getByRole('link', { name: 'Status' }).click();
}

// What would be answered is shown while it is typed, and said to the next customer once it is saved.
async function changesAnswers(page, tenant) {
  await page.getByRole('link', { name: 'Answers', exact: true }).click();
  await page.getByLabel('What a customer writes').fill('Is there octopus?');
  const fallback = page.getByLabel('What it says when nothing fits');
  const before = await fallback.inputValue();
  await fallback.fill('Asha answers: {message} <i>soon</i>');
  await page.locator('#preview').getByText('Asha answers: Is there octopus? <i>soon</i>').waitFor();
  await page.getByLabel('Name in the menu').first().fill('Prices');
  await page.locator('#preview').getByText('A line of the menu needs').waitFor();
  await seen(page, 'answers-wrong');
  await page.getByLabel('Name in the menu').first().fill('');
  await page.locator('#preview').getByText('Asha answers:').waitFor();
  await page.locator('#preview').evaluate((shown) => shown.scrollIntoView({ block: 'end' }));
  await seen(page, 'answers');
  await page.getByRole('button', { name: 'Save' }).click();
  await until('the page shows what was saved', async () => (await fallback.inputValue()).startsWith('Asha answers'));
  await isAnswered(page, tenant, 'octopus?', 'Asha answers: octopus? <i>soon</i>');
  await page.getByRole('link', { name: 'Answers', exact: true }).click();
  await fallback.fill(before);
  await page.getByRole('button', { name: 'Save' }).click();
  await isAnswered(page, tenant, 'squid?');
}

// A line that is written while the log is open comes by itself.
async function readsTheLog(page, browser) {
  await page.getByRole('link', { name: 'Log', exact: true }).click();
  const lines = page.locator('.log li');
  await lines.first().waitFor();
  const before = await lines.count();
  const other = await person(browser, { storageState: await page.context().storageState() });
  await other.goto(new URL('/t/demo-1', required('PORTAL_URL')).href);
  await other.getByRole('button', { name: 'Pause' }).click();
  await other.getByRole('heading', { name: 'Paused' }).waitFor();
  await until('the log goes on', async () => (await lines.count()) > before);
  await other.getByRole('button', { name: 'Go on' }).click();
  await other.getByRole('heading', { name: 'Connected' }).waitFor();
  await other.context().close();
  await page.getByRole('link', { name: 'Warnings and errors alone' }).click();
  await page.getByRole('link', { name: 'Status' }).click();
  await page.getByRole('heading', { name: 'Connected' }).waitFor();
}

// The machine that the business runs on dies, and its owner looks on.
async function survives(page, tenant) {
  await page.evaluate(() => {
    window.isTheSamePage = true;
    window.states = [];
    const look = () => window.states.push(document.querySelector('[data-announce]').dataset.announce);
    new MutationObserver(look).observe(document.getElementById('live'), { childList: true });
  });
  const { pid } = dev().nodes.find((node) => node.id === required('OWNER'));
  process.kill(pid, 'SIGKILL');
  const states = () => page.evaluate(() => window.states);
  await until('the card says that the connection is lost', async () => (await states()).some((state) => state !== 'Connected'));
  await page.getByRole('heading', { name: 'Connected' }).waitFor();
  ensure(await page.evaluate(() => window.isTheSamePage), 'the page was loaded again');
  await isAnswered(page, tenant, 'still there?');
}

async function pausesWithoutScripts(browser, page) {
  const plain = await person(browser, { javaScriptEnabled: false, storageState: await page.context().storageState() });
  await plain.goto(new URL('/t/demo-1', required('PORTAL_URL')).href);
  await plain.getByRole('button', { name: 'Pause' }).click();
  await plain.getByRole('heading', { name: 'Paused' }).waitFor();
  await page.getByRole('link', { name: 'Status' }).click();
  await page.getByRole('heading', { name: 'Paused' }).waitFor();
  await page.getByRole('button', { name: 'Unlink the phone' }).waitFor({ state: 'detached' });
  await seen(page, 'paused');
  await plain.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('heading', { name: 'Connected' }).waitFor();
  await plain.context().close();
}

async function signsInAgain(browser, page) {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await seen(page, 'sign-in');
  await page.getByRole('button', { name: 'Kiswahili' }).click();
  await page.getByRole('heading', { name: 'Ingia' }).waitFor();
  await page.keyboard.press('Tab');
  await page.locator('#email').focus();
  await page.keyboard.type('owner@demo-1.example');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Imeunganishwa' }).waitFor();
  await seen(page, 'connected-sw');
}

run(async (browser) => {
  const tenant = dev().tenants[0];
  const page = await person(browser);
  await comesIn(page);
  await links(browser, page, tenant);
  await reads(page, tenant);
  await takesOver(page, tenant);
  await changesAnswers(page, tenant);
  await readsTheLog(page, browser);
  await survives(page, tenant);
  await pausesWithoutScripts(browser, page);
  await signsInAgain(browser, page);
});
