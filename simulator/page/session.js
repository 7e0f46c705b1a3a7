// The state of the session as the libraries see it, and its way from load to QR, to connected, to logged out.
//
//   load -> QR (UNPAIRED) -> PAIRING -> CONNECTED <-> OPENING (the connection is down)
//                                          |-> CONFLICT (opened elsewhere; takeover() returns)
//                                          |-> DEPRECATED_VERSION (a reload returns)
//                                          '-> logged out: credentials gone, navigation to ?post_logout=1
//
// Guesses, since neither library constrains them: Conn.ref is left alone after pairing; while reconnecting the
// stream's mode stays MAIN and its info goes OFFLINE, RESUMING, NORMAL.

import { Emitter, Model } from './events.js';
import * as build from './build.js';
import { ask, connection } from './connection.js';
import { forgetCredentials, loadCredentials, pairingKeys, saveCredentials, toBase64 } from './credentials.js';
import { storage } from './storage.js';
import { Wid } from './ids.js';
import { live } from './registry.js';

class SocketModel extends Model {
  // The real page syncs for seconds after a load, so whoever attaches hears it. This one is done before anybody
  // can attach: a late listener is told.
  on(names, handler, context) {
    super.on(names, handler, context);
    if (names === 'change:hasSynced' && this.hasSynced) setTimeout(() => handler.call(context, this, true));
    return this;
  }

  logout() {
    return logout();
  }

  takeover() {
    connection.resume();
  }

  poke() {
    connection.send({ type: 'refresh_code' });
  }

  initConn() {
    connection.resume();
  }
}

class CmdImpl extends Emitter {
  isMainLoaded = false;

  refreshQR() {
    connection.send({ type: 'refresh_code' });
  }
}

export const Socket = new SocketModel({ state: 'OPENING', stream: 'DISCONNECTED', hasSynced: false });
export const Stream = new Model({ mode: undefined, info: 'OPENING', needsUpdate: false, available: true });
Stream.markAvailable = () => {};
Stream.markUnavailable = () => {};
Stream.takeover = () => Socket.takeover();
export const Conn = new Model({ ref: undefined, connected: false, platform: 'android', pushname: undefined });
export const Cmd = new CmdImpl();
export { CmdImpl };
export const NetworkStatus = new Model({ online: true });
NetworkStatus.checkOnline = async () => NetworkStatus.online;

export const me = { phone: null, wid: null, lid: null };
// Each document is a life of its own: what it knows of an earlier one is what lies on its disk.
const life = toBase64(crypto.getRandomValues(new Uint8Array(6)));
let credentials = null;
let leaving = false;

export const isRegistered = () => credentials !== null;
export const isLoggedIn = () => credentials !== null;

export async function restoreSession() {
  credentials = await loadCredentials();
  if (credentials) setMe(credentials);
  Stream.set({ mode: credentials ? 'SYNCING' : 'QR' });
}

function setMe({ phone, pushname, lid }) {
  me.phone = phone;
  me.wid = new Wid(`${phone}@c.us`);
  me.lid = new Wid(`${lid}@lid`);
  Conn.set({ wid: me.wid, pushname });
}

export function greet() {
  if (credentials) {
    const { device, token } = credentials;
    connection.send({ type: 'login', device, token, counter: storage.counter, life });
  } else {
    const keys = { noise: toBase64(pairingKeys.noise), identity: toBase64(pairingKeys.identity) };
    connection.send({ type: 'hello', keys });
  }
}

export function codeShown({ reference }) {
  connection.accepted();
  Conn.set({ ref: reference, refTTL: 20_000 });
  Stream.set({ mode: 'QR', info: 'NORMAL' });
  Socket.set({ state: 'UNPAIRED' });
}

// The code that is to be typed on the phone of this number, which the page shows.
export async function askForLinkCode(phone) {
  const { code } = await ask({ type: 'link_code', phone: String(phone) });
  document.getElementById('app').textContent = code;
  return code;
}

export async function paired({ phone, pushname, lid, device, token }) {
  document.getElementById('app').textContent = '';
  Socket.set({ state: 'PAIRING' });
  Stream.set({ info: 'PAIRING' });
  credentials = { phone, pushname, lid, device, token };
  await saveCredentials(credentials);
  setMe(credentials);
  await build.linked(phone);
  greet();
}

export function welcomed() {
  connection.accepted();
  Conn.set({ connected: true });
  NetworkStatus.set({ online: true });
  Stream.set({ info: Socket.hasSynced ? 'RESUMING' : 'SYNCING' });
  Socket.set({ state: 'CONNECTED', stream: 'CONNECTED' });
  Stream.set({ mode: 'MAIN' });
  if (!Cmd.isMainLoaded) {
    Cmd.isMainLoaded = true;
    Cmd.trigger('main_loaded');
  }
  Stream.set({ info: 'NORMAL' });
  Socket.set({ hasSynced: true });
}

export function connectionLost() {
  if (leaving || (Socket.state !== 'CONNECTED' && Socket.state !== 'PAIRING')) return;
  Conn.set({ connected: false });
  Socket.set({ state: 'OPENING', stream: 'DISCONNECTED' });
  Stream.set({ info: 'OFFLINE' });
  NetworkStatus.set({ online: false });
}

export function conflicted() {
  Conn.set({ connected: false });
  Socket.set({ state: 'CONFLICT', stream: 'DISCONNECTED' });
  Stream.set({ mode: 'CONFLICT', info: 'OFFLINE' });
  return connection.stop();
}

export function outdated() {
  Conn.set({ connected: false });
  Stream.set({ needsUpdate: true });
  Socket.set({ state: 'DEPRECATED_VERSION', stream: 'DISCONNECTED' });
  Stream.set({ mode: 'DEPRECATED_VERSION' });
  return connection.stop();
}

// The phone, or the server at login, says that this device is linked no more.
export async function loggedOut({ reason }) {
  live('WAWebLogoutReason').getErrorCodeFromLogoutReason(reason);
  await leave();
}

// The page itself logs out: the server is asked, a turn later, and until it has answered this device is linked. The event
// follows after the caller has its answer: wa-js subscribes after the call.
async function logout() {
  live('WAWebLogoutReason').getErrorCodeFromLogoutReason('user_initiated');
  await new Promise((resolve) => setTimeout(resolve));
  await ask({ type: 'logout' });
  setTimeout(leave);
}

async function leave() {
  leaving = true;
  await connection.stop();
  credentials = null;
  await forgetCredentials();
  Conn.set({ connected: false });
  Cmd.trigger('logout');
  setTimeout(() => location.assign('/?post_logout=1&logout_reason=0'));
}
