// Messages, chats and contacts, and the collections that hold them.

import { Collection, Model } from './events.js';
import { createWid, MsgKey } from './ids.js';

export class MsgModel extends Model {
  constructor(attributes) {
    super({ ...attributes, id: MsgKey.from(attributes.id) });
  }

  get isStatusV3() { return this.id.remote.isStatus(); }
  get isEphemeral() { return false; }
  get isMedia() { return false; }
  get sender() { return this.author ?? this.from; }

  updateAck(ack) { this.set({ ack }); }
  canReply() { return true; }
  avParams() { return {}; }

  // What a reply carries about the message it quotes.
  msgContextInfo() {
    return {
      quotedMsg: { type: this.type, body: this.body },
      quotedParticipant: this.sender,
      quotedStanzaID: this.id.id,
      quotedRemoteJid: this.id.remote,
    };
  }
}
MsgModel.prototype.proxyName = 'msg';

export class ChatModel extends Model {
  msgs = new Collection();
  // Its record is in the store.
  isOnDisk = false;
  presence = { subscribe: async () => {}, id: this.id, isSubscribed: true };

  constructor(attributes) {
    super({ unreadCount: 0, archive: false, pin: 0, isReadOnly: false, ...attributes, id: createWid(attributes.id) });
    this.mute = { expiration: 0, isMuted: false };
    this.contact = new ContactModel({ id: this.id });
  }

  // wa-js adds isGroup, isUser and their like; a getter it finds on the prototype it would call there.
  get formattedTitle() { return this.name ?? `+${this.id?.user}`; }
  get lastReceivedKey() { return this.msgs?.newest?.id; }
}
ChatModel.prototype.proxyName = 'chat';

export class ContactModel extends Model {
  constructor(attributes) {
    super({ ...attributes, id: createWid(attributes.id) });
  }

  get displayName() { return this.pushname ?? `+${this.id?.user}`; }
}
ContactModel.prototype.proxyName = 'contact';

// One class for each collection, because wa-js finds a store by `instanceof` its class.
export class MsgCollectionImpl extends Collection {}
export class ChatCollectionImpl extends Collection {}
export class ContactCollectionImpl extends Collection {}

export const Chat = new ChatCollectionImpl();
export const Contact = new ContactCollectionImpl();
export const Msg = new MsgCollectionImpl();
Msg.modelClass = MsgModel;
Chat.modelClass = ChatModel;
Contact.modelClass = ContactModel;

export function findOrCreateChat(id, name) {
  const wid = createWid(id);
  const known = Chat.get(wid);
  if (known) return { chat: known, created: false };
  return { chat: Chat.add(new ChatModel({ id: wid, name, t: Math.floor(Date.now() / 1000) })), created: true };
}
