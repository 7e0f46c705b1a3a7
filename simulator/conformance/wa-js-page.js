// A browser with the simulator's page and wa-js in it, as Roost's bridge attaches it.

'use strict';

const fs = require('node:fs');
const { check, launch, Mailbox, phones, simulatorUrl, until, within } = require('./harness');

const WA_JS = fs.readFileSync(require.resolve('@wppconnect/wa-js'), 'utf8');

class WaJsPage {
  events = new Mailbox();
  #browser;
  #page;

  static async open(profile, onExit, what) {
    const opened = await WaJsPage.start(profile, onExit, what);
    await opened.loaded();
    return opened;
  }

  // With another build of the page or of the library, which may never get ready.
  static async start(profile, onExit, { path = '/', waJs = WA_JS } = {}) {
    const opened = new WaJsPage();
    opened.#browser = await launch(profile);
    onExit(() => opened.close());
    opened.#page = (await opened.#browser.pages())[0];
    if (process.env.DEBUG) opened.#page.on('console', (line) => console.error(`page: ${line.text()}`));
    opened.#page.on('pageerror', (error) => console.error('page error', error));
    await opened.#page.exposeFunction('conformanceEvent', (event) => opened.events.put(event));
    await opened.#page.evaluateOnNewDocument('window.WPPConfig = { disableGoogleAnalytics: true };');
    await opened.#page.evaluateOnNewDocument(waJs);
    await opened.#page.evaluateOnNewDocument(forwardEvents);
    await opened.#page.goto(simulatorUrl() + path);
    return opened;
  }

  loaded() {
    return until(() => this.evaluate(() => Boolean(window.WPP?.isReady)).catch(() => false), 'wa-js is ready');
  }

  evaluate(...argument) {
    return this.#page.evaluate(...argument);
  }

  reload() {
    return this.#page.reload().then(() => this.loaded());
  }

  // The text that a phone reads from the QR code.
  async code() {
    await this.loaded();
    return until(() => this.evaluate(async () => (await window.WPP.conn.getAuthCode())?.fullCode), 'a pairing code');
  }

  ready() {
    return until(
      () => this.evaluate(() => window.WPP.conn.getStreamData().mode === 'MAIN' && window.WPP.conn.isAuthenticated()),
      'stream mode MAIN and authenticated',
    );
  }

  state() {
    return this.evaluate(() => ({
      ...window.WPP.conn.getStreamData(),
      online: window.WPP.conn.isOnline(),
      needsUpdate: window.WPP.conn.needsUpdate(),
      socket: window.WPP.whatsapp.Socket.state,
    }));
  }

  send(to, body, options = {}) {
    return within(
      this.evaluate(
        (chat, text, more) => window.WPP.chat.sendTextMessage(chat, text, { createChat: true, ...more }),
        to,
        body,
        options,
      ),
      `sending ${body}`,
    );
  }

  async pair(phone) {
    await phones.scan(await this.code(), phone);
    await this.ready();
  }

  async logout() {
    await this.evaluate(() => {
      window.WPP.conn.logout();
    });
    await this.loggedOut();
  }

  async loggedOut() {
    const taken = ['logout_reason', 'logout'].map((name) => this.events.take((event) => event.name === name, name));
    await Promise.all(taken);
    await until(() => this.#page.url().includes('post_logout=1'), 'the page for those logged out');
  }

  async close() {
    if (!this.#browser) return;
    const browser = this.#browser;
    this.#browser = null;
    await browser.close();
  }

  async kill() {
    const browser = this.#browser;
    this.#browser = null;
    const gone = new Promise((resolve) => browser.process().once('exit', resolve));
    check(browser.process().kill('SIGKILL'), 'the browser was gone already');
    await gone;
  }
}

function forwardEvents() {
  const attach = () => {
    const forward = (event, name, describe) =>
      window.WPP.on(event, (argument) => window.conformanceEvent({ name, ...describe(argument) }));
    forward('chat.new_message', 'message', (message) => ({
      id: String(message.id),
      from: String(message.from),
      body: message.body,
      fromMe: message.id.fromMe,
      author: message.author && String(message.author),
    }));
    forward('chat.msg_ack_change', 'ack', ({ ack, ids }) => ({ ack, ids: ids.map(String) }));
    forward('conn.logout_reason', 'logout_reason', (reason) => ({ reason }));
    forward('conn.logout', 'logout', () => ({}));
    forward('conn.stream_mode_changed', 'mode', (mode) => ({ mode }));
    forward('conn.stream_info_changed', 'info', (info) => ({ info }));
    forward('conn.online', 'online', (online) => ({ online }));
    forward('conn.needs_update', 'needs_update', () => ({}));
  };
  if (window.WPP) attach();
}

module.exports = { WA_JS, WaJsPage };
