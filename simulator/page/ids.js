// Addresses (Wid) and message keys (MsgKey).
//
// `_serialized` is an own property of both: the libraries read it, and it has to survive JSON and the DevTools
// protocol, which copy own properties only.

const SERVERS = /^(c\.us|g\.us|lid|broadcast|newsletter|call)$/;

export class Wid {
  constructor(serialized) {
    const [user, server] = String(serialized).replace('@s.whatsapp.net', '@c.us').split('@');
    this.server = server;
    this.user = user.split(':')[0];
    this._serialized = `${this.user}@${server}`;
  }

  isUser() { return this.server === 'c.us' || this.server === 'lid'; }
  isRegularUser() { return this.server === 'c.us'; }
  isLid() { return this.server === 'lid'; }
  isGroup() { return this.server === 'g.us'; }
  isGroupCall() { return this.server === 'call'; }
  isBroadcast() { return this.server === 'broadcast'; }
  isStatus() { return this._serialized === 'status@broadcast'; }
  isStatusV3() { return this.isStatus(); }
  isNewsletter() { return this.server === 'newsletter'; }
  isBot() { return false; }
  isPSA() { return this._serialized === '0@c.us'; }
  isServer() { return false; }
  isCAPISupportAccount() { return false; }
  equals(other) { return Boolean(other) && this._serialized === String(other._serialized ?? other); }
  isLessThan(other) { return this._serialized < String(other); }
  toString() { return this._serialized; }
  toLogString() { return this._serialized; }
  toJid() { return this._serialized.replace('@c.us', '@s.whatsapp.net'); }
  getJid() { return this.toJid(); }
  getSignalAddress() { return `${this.user}.0`; }

  static isWid(value) { return createWid(value) !== undefined; }
  static isXWid(value, server) { return createWid(value)?.server === server; }
  static isUser(value) { return Boolean(createWid(value)?.isUser()); }
  static isLid(value) { return Boolean(createWid(value)?.isLid()); }
  static isGroup(value) { return Boolean(createWid(value)?.isGroup()); }
  static isBroadcast(value) { return Boolean(createWid(value)?.isBroadcast()); }
  static isStatus(value) { return Boolean(createWid(value)?.isStatus()); }
  static isNewsletter(value) { return Boolean(createWid(value)?.isNewsletter()); }
}

// Undefined for what is no address: wa-js turns that into its `invalid_wid`.
export function createWid(value) {
  if (value instanceof Wid) return value;
  const text = typeof value === 'string' ? value : value?._serialized;
  if (typeof text !== 'string') return undefined;
  const [user, server, rest] = text.replace('@s.whatsapp.net', '@c.us').split('@');
  if (rest !== undefined || !SERVERS.test(server ?? '')) return undefined;
  const known = server === 'broadcast' ? /^(status|\d+)$/ : server === 'g.us' ? /^\d+(-\d+)?$/ : /^\d+(:\d+)?$/;
  return known.test(user) ? new Wid(text) : undefined;
}

function createWidOrThrow(value) {
  const wid = createWid(value);
  if (!wid) throw new Error(`wid error: invalid wid ${value}`);
  return wid;
}

export const WidFactory = {
  createWid,
  createWidFromWidLike: (value) => createWid(value?._serialized ?? `${value.user}@${value.server}`),
  isWidlike: (value) => typeof value === 'object' && typeof value?.user === 'string' && typeof value?.server === 'string',
  createUserWidOrThrow: (user, server = 'c.us') =>
    createWidOrThrow(String(user).includes('@') ? user : `${user}@${server}`),
  asUserWidOrThrow: (wid) => createWidOrThrow(wid),
  toUserWidOrThrow: (wid) => createWidOrThrow(wid),
  asGroupWidOrThrow: (wid) => createWidOrThrow(wid),
};

export class MsgKey {
  constructor(key) {
    if (key == null) throw new Error('MsgKey error: obj is null/undefined');
    this.fromMe = key.fromMe ?? key.selfDir === 'out';
    this.remote = createWidOrThrow(key.remote ?? (this.fromMe ? key.to : key.from));
    this.id = key.id;
    if (key.participant) this.participant = createWidOrThrow(key.participant);
    const parts = [this.fromMe, this.remote, this.id, this.participant];
    this._serialized = parts.filter((part) => part !== undefined).join('_');
  }

  toString() { return this._serialized; }
  equals(other) { return Boolean(other) && this._serialized === String(other); }
  clone() { return new MsgKey(this); }

  static from(value) { return value instanceof MsgKey ? value : MsgKey.fromString(String(value?._serialized ?? value)); }

  static fromString(text) {
    const [fromMe, remote, id, participant] = String(text).split('_');
    if (!['true', 'false'].includes(fromMe) || !id) throw new Error(`MsgKey error: not a message key: ${text}`);
    return new MsgKey({ fromMe: fromMe === 'true', remote, id, participant });
  }

  static newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(9));
    return '3EB0' + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('').toUpperCase();
  }

  // The promise is what newer bundles return; both libraries await it.
  static async newIdAsync() { return MsgKey.newId(); }
}

MsgKey.displayName = 'MsgKey';
