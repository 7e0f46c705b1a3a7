// What anybody does who runs a business: choose a password, link the phone, be written to.

'use strict';

const fs = require('node:fs');
const jsQR = require('jsqr');
const { control, ensure, required, until } = require('./people.js');

const PASSWORD = 'samaki kavu soko';
const CUSTOMER = '+255600000001';
const dev = () => JSON.parse(fs.readFileSync(required('DEV_JSON'), 'utf8'));

// With the keyboard alone.
async function choosesPassword(page) {
  await page.getByLabel('New password', { exact: true }).focus();
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
}

// What the phone's camera reads of the picture in the page.
async function scanned(page) {
  const { data, width, height } = await page.locator('.qr img').evaluate(async (picture) => {
    await picture.decode();
    const canvas = document.createElement('canvas');
    // With the quiet margin that the page's style gives it.
    const margin = 16;
    canvas.width = picture.naturalWidth + 2 * margin;
    canvas.height = picture.naturalHeight + 2 * margin;
    const drawing = canvas.getContext('2d');
    drawing.fillStyle = 'white';
    drawing.fillRect(0, 0, canvas.width, canvas.height);
    drawing.drawImage(picture, margin, margin);
    const pixels = drawing.getImageData(0, 0, canvas.width, canvas.height);
    return { data: Array.from(pixels.data), width: pixels.width, height: pixels.height };
  });
  const code = jsQR(Uint8ClampedArray.from(data), width, height);
  ensure(code, 'the picture in the page is no QR code');
  return code.data;
}

async function isLinked(page, tenant) {
  // A code that is renewed in the moment of its scan is refused; the next one is scanned.
  await until('a code is scanned', async (note) => {
    const code = await scanned(page);
    return control('POST', 'scan', { code, phone: tenant.phone, pushname: tenant.name }).then(() => true, note);
  });
  await page.getByRole('heading', { name: 'Connected' }).waitFor();
  await page.getByText(`${tenant.name} (`).waitFor();
}

// `answer`: what stands in it, the message itself unless it is given.
async function isAnswered(page, tenant, text, answer = `echo: ${text}`) {
  await control('POST', 'message', { phone: tenant.phone, from: CUSTOMER, body: text });
  await until(`"${text}" is answered`, async () => {
    const sent = await control('GET', `sent?phone=${encodeURIComponent(tenant.phone)}`);
    return sent.some((message) => JSON.stringify(message).includes(answer));
  });
  await page.getByRole('link', { name: 'Conversations', exact: true }).click();
  await until('the conversation is listed', async () => {
    await page.reload();
    return page.getByRole('link', { name: answer }).isVisible();
  });
}

module.exports = { CUSTOMER, PASSWORD, choosesPassword, dev, isAnswered, isLinked };
