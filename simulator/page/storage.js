// What the page keeps on disk: IndexedDB for the key, the device, the ratchet, chats and messages; localStorage
// for the sealed token. Both are needed to resume a session, as on the real site.
//
// The ratchet counts every message received and sent: it is the position of the last message in the store, so that
// a restored profile is behind by exactly the messages it does not have.
//
// Writes are grouped: what arrives while a transaction is under way goes into the next one. A burst then costs a
// few transactions instead of one for each message, and a lone message does not wait.

const DATABASE = 'wawc';
const KEPT_MESSAGES = 10_000;
const PRUNED_EVERY = 256;
const ACK_DELAY_MS = 25;

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    const database = request.result;
    database.createObjectStore('credentials');
    database.createObjectStore('chats', { keyPath: 'id' });
    database.createObjectStore('messages', { keyPath: 'seq' }).createIndex('key', 'key', { unique: true });
  };
  return finished(request);
}

class Storage {
  #database = null;
  #pending = [];
  #changedAcks = new Map();
  #ackTimer = null;
  #busy = false;
  counter = 0;

  async open() {
    this.#database = await open();
    const last = await finished(this.#read('messages').openKeyCursor(null, 'prev'));
    this.counter = last?.key ?? 0;
  }

  #read(store) {
    return this.#database.transaction(store, 'readonly').objectStore(store);
  }

  async credentials() {
    const store = this.#read('credentials');
    const [key, device] = await Promise.all([finished(store.get('key')), finished(store.get('device'))]);
    return { key, device };
  }

  // A new session begins with an empty store: what an earlier one left is gone.
  async replaceCredentials(key, device) {
    const transaction = this.#database.transaction(['credentials', 'chats', 'messages'], 'readwrite');
    for (const name of ['credentials', 'chats', 'messages']) transaction.objectStore(name).clear();
    if (key) {
      transaction.objectStore('credentials').put(key, 'key');
      transaction.objectStore('credentials').put(device, 'device');
    }
    this.counter = 0;
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
  }

  chats() {
    return finished(this.#read('chats').getAll());
  }

  // The record of a message key, or undefined.
  message(key) {
    return finished(this.#read('messages').index('key').get(String(key)));
  }

  // The newest records, oldest first.
  async newest(count) {
    const from = IDBKeyRange.lowerBound(Math.max(0, this.counter - count), true);
    return finished(this.#read('messages').getAll(from));
  }

  // Resolves when the record is on disk; its `seq` is the ratchet's position. `chat` is given when it is new.
  append(record, chat) {
    return new Promise((resolve, reject) => {
      this.#pending.push({ record, chat, resolve, reject });
      this.#flush();
    });
  }

  // Acks are worth little after a crash (a resend is recognised by its id), so they wait for company.
  saveAck(record, ack) {
    record.ack = ack;
    this.#changedAcks.set(record.seq, record);
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = null;
      this.#flush();
    }, ACK_DELAY_MS);
  }

  #flush() {
    if (this.#busy || (!this.#pending.length && !this.#changedAcks.size)) return;
    this.#busy = true;
    const batch = this.#pending.splice(0);
    const transaction = this.#database.transaction(['messages', 'chats'], 'readwrite', { durability: 'relaxed' });
    this.#write(transaction, batch);
    transaction.commit();
    transaction.oncomplete = () => {
      this.#busy = false;
      for (const { record, resolve } of batch) resolve(record);
      this.#flush();
    };
    transaction.onabort = () => {
      this.#busy = false;
      for (const { reject } of batch) reject(transaction.error);
    };
  }

  #write(transaction, batch) {
    const messages = transaction.objectStore('messages');
    for (const record of this.#changedAcks.values()) messages.put(record);
    this.#changedAcks.clear();
    const before = this.counter;
    for (const { record, chat } of batch) {
      record.seq = ++this.counter;
      messages.put(record);
      if (chat) transaction.objectStore('chats').put(chat);
    }
    if (Math.floor(this.counter / PRUNED_EVERY) > Math.floor(before / PRUNED_EVERY)) {
      messages.delete(IDBKeyRange.upperBound(this.counter - KEPT_MESSAGES));
    }
  }
}

export const storage = new Storage();
