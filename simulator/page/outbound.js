// Messages from the libraries to the server.
//
// A message goes to disk, then to the server; the result promise resolves with the server's answer. The id is the
// sender's: sending the same id again reaches the server, which acknowledges it without listing it twice.
// While there is no connection a send fails at once with ERROR_NETWORK and its ack becomes -1; or, where `unsent` is 'wait',
// it hangs and goes out with the next connection, also in the page's next life. (Which of the two is a guess.)

import { swallowsSends } from './build.js';
import { connection } from './connection.js';
import { createWid, MsgKey } from './ids.js';
import { append, keepInMemory, recordOf } from './inbound.js';
import { findOrCreateChat, Msg, MsgModel } from './models.js';
import { live } from './registry.js';
import { settings } from './settings.js';
import { storage } from './storage.js';
import { Socket } from './session.js';

export const ACK = { FAILED: -1, CLOCK: 0, SENT: 1, RECEIVED: 2, READ: 3, PLAYED: 4 };

// Sent or to be sent, and not answered yet: message key -> { model, promise, resolve }.
const unanswered = new Map();
// How many of the newest messages on disk a new life looks through for what was never acknowledged.
const LOOK_BACK = 512;

// Synchronously [Promise<Msg>, Promise<result>], as both libraries destructure it.
export function addAndSendMsgToChat(chat, message) {
  const key = MsgKey.from(message.id);
  let model = Msg.get(key);
  if (model) {
    model.set({ ack: ACK.CLOCK });
  } else {
    model = new MsgModel({ ...message, id: key });
    chat.set({ t: model.t });
    keepInMemory(chat, model);
  }
  return [Promise.resolve(model), send(chat, model)];
}

async function send(chat, model) {
  if (Socket.state !== 'CONNECTED' && settings.unsent === 'fail') return failed(model);
  if (!model.record) {
    model.record = recordOf(model);
    await append(model.record, chat);
  }
  if (!connection.isOpen && settings.unsent === 'fail') return failed(model);
  const answer = awaitAnswer(model);
  if (Socket.state === 'CONNECTED') transmit(model, 'asked');
  return answer;
}

function awaitAnswer(model) {
  const id = String(model.id);
  if (!unanswered.has(id)) unanswered.set(id, { model, ...Promise.withResolvers() });
  return unanswered.get(id).promise;
}

function transmit(model, cause) {
  if (swallowsSends()) return;
  connection.send({
    type: 'send',
    id: String(model.id),
    to: String(model.id.remote),
    body: model.body ?? '',
    counter: storage.counter,
    cause,
  });
}

// What hung for want of a connection goes out with the new one.
export function sendUnsent() {
  for (const { model } of unanswered.values()) transmit(model, 'unsent');
}

// What an earlier life had on its disk and no acknowledgement for.
export async function restoreUnsent() {
  if (settings.unsent !== 'wait') return;
  const records = await storage.newest(LOOK_BACK);
  for (const { key, ack } of records) {
    if (key.startsWith('true') && ack === ACK.CLOCK) awaitAnswer(await Msg.load(key));
  }
}

// A recipient could not decrypt it. A page that does not have it any more cannot help.
export async function retryAsked({ id }) {
  const model = await Msg.load(id);
  if (model) transmit(model, 'retry');
}

function failed(model) {
  model.set({ ack: ACK.FAILED });
  return { messageSendResult: 'ERROR_NETWORK', ack: ACK.FAILED, t: model.t };
}

export function messageAccepted({ id, t }) {
  const entry = unanswered.get(id);
  if (!entry) return;
  unanswered.delete(id);
  const { model, resolve } = entry;
  resolve({ messageSendResult: 'OK', ack: ACK.SENT, t });
  model.set({ t, ack: ACK.SENT });
  storage.saveAck(model.record, ACK.SENT);
}

export function failUnanswered() {
  if (settings.unsent === 'wait') return;
  for (const { model, resolve } of unanswered.values()) resolve(failed(model));
  unanswered.clear();
}

// A receipt of the other side: delivered (2) or read (3). It passes through the module, where wa-js listens.
export function receiptArrived({ chat, ids, ack }) {
  const receipts = live('WAWebHandleMsgReceipts');
  const from = createWid(chat);
  const receipt = { ack, ackString: '', from, externalIds: ids, recipient: undefined, participant: undefined };
  if (from.isGroup()) receipts.handleGroupSimpleReceipt(receipt);
  else receipts.handleChatSimpleReceipt(receipt);
}

export function applyReceipt({ ack, from, externalIds }) {
  for (const id of externalIds) {
    const model = Msg.get(new MsgKey({ fromMe: true, remote: from, id }));
    if (!model || model.ack >= ack) continue;
    model.set({ ack });
    if (model.record) storage.saveAck(model.record, ack);
  }
}

export async function sendSeen(argument) {
  const chat = argument.chat ?? argument;
  chat.set({ unreadCount: 0 });
}

export async function findOrCreateLatestChat(id) {
  return findOrCreateChat(id);
}

// wa-js waits for `collection.loadAroundPromise`, then looks in the chat's messages.
export function getSearchContext(argument, key) {
  const wanted = key ?? argument.msgKey;
  return { collection: { loadAroundPromise: Msg.load(wanted), get: (id) => Msg.get(id) } };
}

export async function restoreChats() {
  for (const { id } of await storage.chats()) findOrCreateChat(id).chat.isOnDisk = true;
}
