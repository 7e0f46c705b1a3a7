// Messages from the server to the stores.
//
// The page acknowledges a message to the server only after `MsgCollection.processMultipleMessages`, looked up on
// the live exports when it is called, has resolved for it and the message is on disk. Whoever wraps that function
// decides when a message counts as received; if it rejects, the server keeps the message and delivers it again.
//
// A redelivered message that is already on disk was processed before and only its acknowledgement was lost: it is
// acknowledged without an event.

import { connection } from './connection.js';
import { createWid, MsgKey } from './ids.js';
import { Chat, findOrCreateChat, Msg, MsgModel } from './models.js';
import { live } from './registry.js';
import { settings } from './settings.js';
import { storage } from './storage.js';
import { me } from './session.js';

// Older messages leave memory; they stay on disk, where `Msg.load` finds them.
export function keepInMemory(chat, model) {
  chat.msgs.add(model);
  Msg.add(model);
  if (Msg.length <= settings.kept_in_memory) return;
  const oldest = Msg.oldest();
  Msg.forget(oldest);
  Chat.get(oldest.id.remote)?.msgs.forget(oldest);
}

export function recordOf(model) {
  const { id, body, type, t, ack, from, to, author, notifyName } = model;
  const text = (wid) => (wid ? String(wid) : undefined);
  return { key: String(id), body, type, t, ack, from: text(from), to: text(to), author: text(author), notifyName };
}

// Resolves when the record is on disk. Whichever message of a chat gets there first brings the chat with it: found without
// its chat, a message would be as good as lost.
export async function append(record, chat) {
  await storage.append(record, chat.isOnDisk ? undefined : { id: String(chat.id) });
  chat.isOnDisk = true;
}

// The message of a key from memory or disk, or undefined. One that comes from disk is not new.
Msg.load = async function load(key) {
  const known = Msg.get(key);
  if (known) return known;
  const record = await storage.message(key);
  if (!record) return undefined;
  const { key: id, seq: _seq, from, to, author, ...rest } = record;
  const wids = { from: createWid(from), to: createWid(to), author: createWid(author) };
  const model = new MsgModel({ ...rest, ...wids, id, self: id.startsWith('true') ? 'out' : 'in', isNewMsg: false });
  model.record = record;
  keepInMemory(findOrCreateChat(model.id.remote).chat, model);
  return model;
};

Msg.getMessagesById = async function getMessagesById(keys) {
  const models = await Promise.all(keys.map((key) => Msg.load(key)));
  return { messages: models.filter(Boolean) };
};

// (chat, raw messages, options) as the real one has it; wa-js wraps it with these first two arguments.
Msg.processMultipleMessages = async function processMultipleMessages(chatId, messages) {
  const { chat } = findOrCreateChat(chatId, messages[0]?.chatName);
  return messages.map((message) => {
    const known = Msg.get(message.id);
    if (known) return known;
    const model = new MsgModel(message);
    chat.set({ t: Math.max(chat.t ?? 0, model.t) });
    keepInMemory(chat, model);
    if (!model.id.fromMe && model.isNewMsg) chat.set({ unreadCount: chat.unreadCount + 1 });
    return model;
  });
};

function fromWire({ id, from, chat, body, t, pushname, redelivered }) {
  const remote = createWid(chat);
  const sender = createWid(from);
  const fromMe = sender.equals(me.wid);
  const isDirect = remote.isUser();
  const key = new MsgKey({ fromMe, remote, id, participant: isDirect ? undefined : sender });
  return {
    wireId: id,
    redelivered,
    message: {
      id: key,
      from: fromMe ? me.wid : remote,
      to: fromMe ? remote : me.wid,
      author: isDirect ? undefined : sender,
      body,
      t,
      type: 'chat',
      ack: fromMe ? 1 : 0,
      self: fromMe ? 'out' : 'in',
      isNewMsg: true,
      local: false,
      notifyName: pushname,
      isForwarded: false,
      mentionedJidList: [],
    },
  };
}

export function messagesArrived({ messages }) {
  for (const [chat, entries] of byChat(messages)) receive(createWid(chat), entries);
}

function byChat(messages) {
  return Map.groupBy(messages.map(fromWire), (entry) => String(entry.message.id.remote));
}

// What was written before this device was linked: through the same function as what is new, but not new, and nothing of it
// is acknowledged. (A guess: the real page has functions of its own for it.)
export function historyArrived({ messages }) {
  for (const [chat, entries] of byChat(messages)) receiveHistory(createWid(chat), entries);
}

async function receiveHistory(chat, entries) {
  const old = entries.map(({ message }) => ({ ...message, isNewMsg: false, ack: 3 }));
  await live('WAWebMsgCollection').MsgCollection.processMultipleMessages(chat, old, { isNewMsg: false });
  await persist(chat, old);
}

// A look at the disk takes a moment in which newer messages may arrive: they wait for their turn.
let turn = Promise.resolve();

async function receive(chat, entries) {
  const wireIds = entries.map((entry) => entry.wireId);
  try {
    const look = () => withoutProcessed(entries);
    turn = turn.then(look, look);
    const fresh = await turn;
    if (fresh.length) {
      const messages = fresh.map((entry) => entry.message);
      await live('WAWebMsgCollection').MsgCollection.processMultipleMessages(chat, messages, { isNewMsg: true });
      await persist(chat, messages);
    }
    acknowledge(wireIds);
  } catch (error) {
    console.warn('messages were refused and will be delivered again', error);
    connection.send({ type: 'rejected', ids: wireIds });
  }
}

async function withoutProcessed(entries) {
  if (!entries.some((entry) => entry.redelivered)) return entries;
  const known = await Promise.all(
    entries.map((entry) => (entry.redelivered ? storage.message(entry.message.id) : undefined)),
  );
  return entries.filter((_, index) => !known[index]);
}

function persist(chatId, messages) {
  const { chat } = findOrCreateChat(chatId);
  return Promise.all(
    messages.map(async (message) => {
      const model = Msg.get(message.id);
      // One that was delivered on two connections may have been written by the other, and have left memory since.
      if (model ? model.record : await storage.message(message.id)) return;
      const record = recordOf(model ?? message);
      if (model) model.record = record;
      await append(record, chat);
    }),
  );
}

// One frame for all that was settled in the same turn.
let settled = [];
function acknowledge(ids) {
  if (!settled.length) {
    queueMicrotask(() => {
      connection.send({ type: 'received', ids: settled, counter: storage.counter });
      settled = [];
    });
  }
  settled.push(...ids);
}
