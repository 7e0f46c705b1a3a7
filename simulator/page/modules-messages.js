// Modules about messages, chats and contacts. Each key export is in one module only: wa-js takes the first match.

import { define } from './registry.js';
import {
  Chat,
  ChatCollectionImpl,
  ChatModel,
  Contact,
  ContactCollectionImpl,
  ContactModel,
  Msg,
  MsgCollectionImpl,
  MsgModel,
} from './models.js';
import {
  ACK,
  addAndSendMsgToChat,
  applyReceipt,
  findOrCreateLatestChat,
  getSearchContext,
  sendSeen,
} from './outbound.js';
import { Collection, Model } from './events.js';

const ACK_STRING = { INACTIVE: 'inactive', SENDER: 'sender', DELIVERY: 'delivery', READ: 'read', PLAYED: 'played' };
const SEND_RESULT = { OK: 'OK', ERROR_NETWORK: 'ERROR_NETWORK', ERROR_UNKNOWN: 'ERROR_UNKNOWN' };
const LINK = /\bhttps?:\/\/[^\s]+/g;

const findLinks = (text) => Array.from(String(text ?? '').matchAll(LINK), ([href]) => ({ href, url: href }));

// wa-js and whatsapp-web.js find a group's metadata before they send to it; nothing else of a group is simulated.
class GroupMetadataCollection extends Collection {
  onParentGroupChange() {}
  async update() {}

  async find(id) {
    const known = this.get(id);
    if (known) return known;
    return this.add(new Model({ id, participants: new Collection() }));
  }
}

// whatsapp-web.js looks for an own field that is a Map and listens to its `set`.
class CallCollection extends Collection {
  _calls = new Map();
  processIncomingCall() {}
  setActiveCall() {}
}

class StatusV3CollectionImpl extends Collection {
  getMyStatus() { return undefined; }
}

export function defineMessageModules() {
  defineStores();
  define('WAWebFindChatAction', { findOrCreateLatestChat });
  define('WAWebSendMsgChatAction', { addAndSendMsgToChat });
  define('WAWebHandleMsgReceipts', {
    handleChatSimpleReceipt: applyReceipt,
    handleGroupSimpleReceipt: applyReceipt,
    handleStatusSimpleReceipt: applyReceipt,
  });
  define('WAWebAck', { ACK, ACK_STRING, EDIT_ATTR: {} });
  define('WAWebSendMsgResultAction', { SendMsgResult: SEND_RESULT });
  define('WAWebGetEphemeralFieldsMsgActionsUtils', { getEphemeralFields: () => ({}) });
  define('WAWebUpdateUnreadChatAction', { sendSeen, markUnread: async (chat) => chat.set({ unreadCount: -1 }) });
  define('WAWebMsgSearchContext', { getSearchContext });
  define('WAWebMsgReply', { canReplyMsg: () => true });
  define('WAWebChatGetters', {
    getIsNewsletter: (chat) => chat.id.isNewsletter(),
    getIsBroadcast: (chat) => chat.id.isBroadcast(),
    getIsGroup: (chat) => chat.id.isGroup(),
  });
  define('WALinkify', {
    findLink: (text) => findLinks(text)[0],
    findLinks,
    findFirstWebLink: (text) => findLinks(text)[0]?.href,
  });
  define('WAWebLinkPreviewChatAction', { getLinkPreview: async () => null });
  define('WAWebSyncGatingUtils', { isPlaceholderMessageResendEnabled: () => false });
}

function defineStores() {
  define('WAWebMsgModel', { Msg: MsgModel });
  define('WAWebChatModel', { Chat: ChatModel });
  define('WAWebContactModel', { Contact: ContactModel });
  define('WAWebMsgCollection', { MsgCollection: Msg, MsgCollectionImpl });
  define('WAWebChatCollection', { ChatCollection: Chat, ChatCollectionImpl });
  define('WAWebContactCollection', { ContactCollection: Contact, ContactCollectionImpl });
  define('WAWebGroupMetadataCollection', { default: new GroupMetadataCollection() });
  define('WAWebCallCollection', { default: new CallCollection() });
  const status = new StatusV3CollectionImpl();
  define('WAWebStatusCollection', { StatusV3CollectionImpl, StatusCollection: status, StatusV3Collection: status });
  class BlocklistCollectionImpl extends Collection {}
  define('WAWebBlocklistCollection', { BlocklistCollection: new BlocklistCollectionImpl(), BlocklistCollectionImpl });
  define('WAWebPresenceCollection', { PresenceCollection: new Collection() });
  // Under this name whatsapp-web.js finds the same stores. wa-js looks at ids in order and must not find them here
  // first, so the names differ from those that it asks for.
  define('WAWebCollections', { Msg, Chat, Contact, Blocklist: new Collection() });
}
