// The page's side of the engine. Runs in every new document, right after wa-js and before the page's own scripts; the
// engine's side is src/web/.
//
// What makes a message that WhatsApp delivered safe (I6):
// - The page acknowledges a message to the server when `MsgCollection.processMultipleMessages` has resolved. That
//   function is wrapped so that it resolves only after the node has confirmed that the message is durable. If that takes
//   longer than HOLD_MS it rejects: the page does not acknowledge, and the server delivers the message again after its
//   next connection. The message keeps its place here all the same.
// - At most WINDOW messages of WINDOW_CHARS are told and not confirmed; the others wait here, so nothing between page and
//   database can overflow.
// - At most HELD messages are here in all. What comes then is rejected at once, and looked for in the page when all that
//   was here is durable; what the page does not keep comes with its next connection.
//
// The limits are the node's: see `HoldLimits` in src/web/bridge.rs.
//
// What the page is doing is told as events: a line of JSON each, and in one binding call everything that one turn of the
// event loop brought, or as much of it as the node takes at once. What the node asks for are the methods of `__roost`.
//
// Half a character (a lone surrogate, which any page or phone can send) is in no text that goes to the node: it could not
// be read there. It becomes U+FFFD.
((limits) => {
  'use strict';

  const { hold_ms: HOLD_MS, held: HELD, window: WINDOW, window_chars: WINDOW_CHARS } = limits;
  // Twice what can be here, so that a look for what was rejected finds what was confirmed meanwhile.
  const REMEMBERED = Math.max(4_096, 2 * HELD);
  // The node cuts a text at as many bytes, and ends a browser that tells much more than these at once.
  const BODY_CHARS = 65_536;
  const TELL_CHARS = 32_768;
  const NAME_CHARS = 200;
  const SEND_MS = 20_000;
  const COMPANY_MS = 10;
  const PROBE_MS = 5_000;
  const READ_MS = 500;
  const LOGOUT_MS = 8_000;
  const PAIRING_MS = 15_000;
  // WhatsApp's own page asks for the next one after three minutes.
  const TYPED_CODE_SECONDS = 180;
  const CONFIRM_MS = 10;
  const ACK_LATE_MS = 3_000;
  const PENDING_GRACE_MS = 1_000;
  // What waited for the page is here so long after it has connected, where the page does not say how much of it is; where it
  // says that all is, a moment later; and where it says that some is not, it is waited for longer, and not for ever.
  const OFFLINE_MS = 2_000;
  const BACKLOG_SETTLES_MS = 500;
  const BACKLOG_MS = 10_000;
  const BACKLOG_LOOK_MS = 50;
  const RECEIPTS = 1_024;
  const FIRST_CODE_SECONDS = 60;
  const LATER_CODE_SECONDS = 20;

  // What a person wrote or sent. Everything else in a chat (calls, receipts, notices of the protocol) is not answered.
  const WRITTEN = new Set([
    'chat', 'image', 'video', 'gif', 'audio', 'ptt', 'ptv', 'document', 'sticker', 'location', 'vcard', 'multi_vcard',
    'list_response', 'buttons_response', 'template_button_reply', 'interactive_response', 'product', 'order',
  ]);

  // Only this script may speak to the node.
  const binding = window.__roostEvents;
  delete window.__roostEvents;

  // By a clock that nobody sets.
  const now = () => performance.now();

  // --- what the server lets be heard ---

  // When anything last came from the server: a message, an acknowledgement, an answer, or what it sends to the page's own
  // pings every half a minute. Each shows that the connection carries.
  let heardAt = -Infinity;
  const heard = () => { heardAt = now(); };

  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, args, newTarget) {
      const socket = Reflect.construct(target, args, newTarget);
      socket.addEventListener('message', heard);
      return socket;
    },
  });

  // --- events ---

  let outbox = [];

  const wellFormed = (_, value) => (typeof value === 'string' ? value.toWellFormed() : value);

  function tell(event) {
    if (!outbox.length) queueMicrotask(tellAll);
    outbox.push(JSON.stringify(event, wellFormed));
  }

  function tellAll() {
    const events = outbox;
    outbox = [];
    let together = [];
    let chars = 0;
    for (const event of events) {
      if (chars + event.length > TELL_CHARS && together.length) {
        binding(together.join('\n'));
        together = [];
        chars = 0;
      }
      together.push(event);
      chars += event.length;
    }
    binding(together.join('\n'));
  }

  // --- messages in ---

  // id -> { message, chars, isTold }: new and not confirmed, in the order in which they came.
  const backlog = new Map();
  // The ids of those that wait for room in the window.
  const waiting = [];
  let told = 0;
  let toldChars = 0;
  // Chats of which a message found no room in the backlog. What comes later in them must not overtake it.
  const overflowed = new Set();
  // id -> { resolve, reject, until, durable }: what the page waits for to acknowledge; the longest first.
  const unacknowledged = new Map();
  let isExpiring = false;
  // Ids confirmed lately: delivered again, they are acknowledged at once.
  const confirmed = new Set();

  // By which the node knows a message, and confirms it.
  const idOf = (message) => String(message.id).toWellFormed();

  function describe(message) {
    const chat = String(message.from).toWellFormed();
    return {
      whatsapp_id: idOf(message),
      chat,
      sender: chat,
      body: textOf(message),
      from_me: false,
      kind: 'direct',
      timestamp: message.t ?? 0,
    };
  }

  // The body of a picture is its thumbnail, so only texts have one here.
  function textOf({ type, body, caption }) {
    const text = type === 'chat' || type.endsWith('_response') || type.endsWith('_reply') ? body : caption;
    // No half of a character is left at the cut.
    return typeof text === 'string' ? text.slice(0, BODY_CHARS).toWellFormed() : '';
  }

  function isForUs(message) {
    if (!message?.isNewMsg || !message.id || message.id.fromMe || !WRITTEN.has(message.type)) return false;
    return /@(c\.us|lid|s\.whatsapp\.net)$/.test(String(message.from));
  }

  // Resolves when the message is durable.
  function hold(message) {
    const id = idOf(message);
    if (confirmed.has(id)) return Promise.resolve();
    if (take(message)) {
      tellWaiting();
      return durable(id);
    }
    return Promise.reject(new Error(`message ${id} is not taken: ${HELD} wait to become durable`));
  }

  // Whether it is here, where it is told once however often it comes, as soon as it is its turn.
  function take(message) {
    const id = idOf(message);
    if (confirmed.has(id) || backlog.has(id)) return true;
    const described = describe(message);
    if (backlog.size >= HELD || overflowed.has(described.chat)) {
      overflowed.add(described.chat);
      return false;
    }
    const chars = id.length + described.chat.length + described.body.length;
    backlog.set(id, { message: described, chars, isTold: false });
    waiting.push(id);
    return true;
  }

  function durable(id) {
    const known = unacknowledged.get(id);
    if (known) return known.durable;
    const entry = { until: now() + HOLD_MS };
    entry.durable = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    unacknowledged.set(id, entry);
    if (!isExpiring) expire();
    return entry.durable;
  }

  // One timer for all that is waited for, for the oldest of them.
  function expire() {
    for (const [id, entry] of unacknowledged) {
      isExpiring = true;
      const left = entry.until - now();
      if (left > 0) {
        setTimeout(expire, left);
        return;
      }
      unacknowledged.delete(id);
      entry.reject(new Error(`message ${id} was not made durable in time`));
    }
    isExpiring = false;
  }

  function tellWaiting() {
    while (waiting.length) {
      const entry = backlog.get(waiting[0]);
      if (entry && !entry.isTold) {
        // One that is larger than the window has it alone.
        if (told && (told >= WINDOW || toldChars + entry.chars > WINDOW_CHARS)) return;
        entry.isTold = true;
        told += 1;
        toldChars += entry.chars;
        tell({ event: 'message', message: entry.message });
      }
      waiting.shift();
    }
  }

  // Durable, but the page is not told at once: what follows from an acknowledgement is work for the same few cores that are
  // on their way to the reply, and nobody waits for it. Not for longer either: put off until a pause it made bursts slower.
  let confirmable = [];

  function confirm(ids) {
    if (!confirmable.length) setTimeout(confirmNow, CONFIRM_MS);
    confirmable.push(...ids);
    for (const id of ids) confirmed.add(id);
  }

  function confirmNow() {
    const ids = confirmable;
    confirmable = [];
    for (const id of ids) {
      letGo(id);
      unacknowledged.get(id)?.resolve();
      unacknowledged.delete(id);
    }
    for (const id of confirmed) {
      if (confirmed.size <= REMEMBERED) break;
      confirmed.delete(id);
    }
    if (overflowed.size && !backlog.size) takeUntold();
    tellWaiting();
  }

  function letGo(id) {
    const entry = backlog.get(id);
    if (!entry) return;
    backlog.delete(id);
    if (!entry.isTold) return;
    told -= 1;
    toldChars -= entry.chars;
  }

  // What is new in the page and not here: it came before the bridge, or found no room. The ids of all that is new in the page.
  function takeUntold() {
    if (!backlog.size) overflowed.clear();
    const messages = WPP.whatsapp.MsgStore.filter((message) => isForUs(message));
    messages.forEach(take);
    return messages.map(idOf);
  }

  // --- receipts ---

  // The stanza ids of messages that recipients are known to have, the newest of them. A page that was restored from an older
  // snapshot does not know its own last messages; their receipts, which wait for it while it is away, show that they were sent.
  const receipted = new Set();
  let connectedAt = Infinity;

  let isWatching = false;

  function watchReceipts(module) {
    if (isWatching) return;
    isWatching = true;
    for (const name of ['handleChatSimpleReceipt', 'handleGroupSimpleReceipt']) {
      const handle = module[name];
      if (typeof handle !== 'function') continue;
      module[name] = function (receipt, ...rest) {
        for (const id of receipt?.externalIds ?? []) received(String(id));
        return handle.call(this, receipt, ...rest);
      };
    }
  }

  function received(stanza) {
    receipted.add(stanza);
    const [oldest] = receipted;
    if (receipted.size > RECEIPTS) receipted.delete(oldest);
  }

  // `true_255700000001@c.us_3EB0C4A7`, and in groups one part more.
  const isReceipted = (id) => receipted.has(id.split('_')[2]);

  // How much of what waited for the page is here, in percent; undefined where the page does not say.
  function backlogHere() {
    try {
      const percent = window.require('WAWebOfflineHandler').OfflineMessageHandler.getOfflineDeliveryProgress();
      return Number.isFinite(percent) ? percent : undefined;
    } catch {
      return undefined;
    }
  }

  // Resolves when what waited for the page is here, as far as can be known.
  async function caughtUp() {
    const asked = now();
    let allHereAt;
    for (;;) {
      const here = backlogHere();
      if (here >= 100) allHereAt ??= now();
      const connected = now() - (connectedAt === Infinity ? asked : connectedAt);
      if (now() - allHereAt >= BACKLOG_SETTLES_MS) return;
      if (connected >= (here < 100 ? BACKLOG_MS : OFFLINE_MS)) return;
      await after(BACKLOG_LOOK_MS);
    }
  }

  let isHolding = false;
  let isInjected = false;

  function holdAcknowledgements(collection) {
    if (isHolding || typeof collection?.processMultipleMessages !== 'function') return;
    isHolding = true;
    const process = collection.processMultipleMessages;
    collection.processMultipleMessages = function (chat, messages, ...rest) {
      heard();
      // Told before the page has processed them: the two run side by side, and a reply needs nothing of the page's.
      const durable = Array.from(messages ?? []).filter(isForUs).map(hold);
      return Promise.all([process.call(this, chat, messages, ...rest), ...durable]).then(([result]) => result);
    };
  }

  // wa-js attaches up to most of a second after the page has started, and messages come before that. The page sets
  // `Debug` once its modules exist.
  function wrapEarly() {
    whenLoadable(() => holdAcknowledgements(window.require('WAWebMsgCollection').MsgCollection));
    whenLoadable(() => watchReceipts(window.require('WAWebHandleMsgReceipts')));
    if (!(isHolding && isWatching) && !isInjected) setTimeout(wrapEarly, 20);
  }

  function whenLoadable(wrap) {
    try {
      wrap();
    } catch {
      // Not yet.
    }
  }

  Object.defineProperty(window, 'Debug', {
    configurable: true,
    enumerable: true,
    get: () => undefined,
    set(value) {
      Object.defineProperty(window, 'Debug', { value, configurable: true, enumerable: true, writable: true });
      wrapEarly();
    },
  });

  // --- the session ---

  let codes = 0;
  let logoutReason = '';

  async function tellCode(code) {
    const text = code?.fullCode ?? null;
    if (text) codes += 1;
    tell({ event: 'qr', text, expires_in_seconds: codes > 1 ? LATER_CODE_SECONDS : FIRST_CODE_SECONDS });
  }

  function tellMode(mode) {
    if (mode === 'CONFLICT') tell({ event: 'conflict' });
    if (mode !== 'MAIN' || !WPP.conn.isAuthenticated()) return;
    connectedAt = now();
    codes = 0;
    const number = WPP.conn.getMyUserWid()?.user ?? '';
    tell({ event: 'ready', phone: number });
    tellAccount(number);
  }

  function tellAccount(number) {
    const { pushname, platform } = WPP.whatsapp.Conn;
    const text = (value) => String(value ?? '').slice(0, NAME_CHARS);
    tell({ event: 'account', account: { number, push_name: text(pushname), platform: text(platform) } });
  }

  WPP.on('conn.auth_code_change', tellCode);
  WPP.on('conn.stream_mode_changed', tellMode);
  WPP.on('conn.stream_info_changed', (info) => tell({ event: 'stream_info', info: String(info) }));
  WPP.on('conn.online', (online) => {
    if (online) connectedAt = now();
    tell({ event: 'online', online: Boolean(online) });
  });
  WPP.on('conn.needs_update', () => tell({ event: 'outdated' }));
  WPP.on('conn.logout_reason', (reason) => { logoutReason = String(reason); });
  let left = () => {};
  WPP.on('conn.logout', () => {
    tell({ event: 'logged_out', reason: logoutReason });
    left();
  });
  // What came past the wrapper: a message that could be decrypted only later.
  WPP.on('chat.new_message', (message) => { if (isForUs(message) && take(message)) tellWaiting(); });
  WPP.loader.onInjected(() => {
    isInjected = true;
    holdAcknowledgements(WPP.whatsapp.MsgStore);
    tell({ event: 'attached', holding: isHolding });
  });

  // --- what the node asks for ---

  const after = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

  function isOnline() {
    try {
      return WPP.whatsapp.Stream.mode === 'MAIN' && WPP.whatsapp.NetworkStatus.online !== false;
    } catch {
      // The page's modules are not there yet.
      return false;
    }
  }

  // id -> { outcome, since }, while a send is under way; the oldest first. `outcome` is a promise.
  const sending = new Map();

  function send(text, late = after(SEND_MS, { status: 'timed_out' })) {
    const known = sending.get(text.whatsapp_id);
    if (known) return known.outcome;
    const outcome = Promise.race([deliver(text).catch(thrown), late]);
    sending.set(text.whatsapp_id, { outcome, since: now() });
    outcome.then(() => sending.delete(text.whatsapp_id));
    return outcome;
  }

  const thrown = (error) => ({ status: 'failed', exception: String(error?.stack ?? error).toWellFormed() });

  // Many chats' texts in one call. Resolves with the outcomes when all are there, or a moment after the first: what takes
  // longer has none then, and the node asks for it alone.
  async function sendAll(texts) {
    const outcomes = texts.map(() => null);
    const late = after(SEND_MS, { status: 'timed_out' });
    const done = texts.map((text, at) => send(text, late).then((outcome) => { outcomes[at] = outcome; }));
    await Promise.race(done);
    if (done.length > 1) await Promise.race([Promise.all(done), after(COMPANY_MS)]);
    return outcomes;
  }

  // Chats that were answered and not yet marked as read: once per chat and pause, not once per message.
  const unread = new Set();

  function markReadSoon(chat) {
    if (!unread.size) setTimeout(markRead, READ_MS);
    unread.add(chat);
  }

  function markRead() {
    const chats = [...unread];
    unread.clear();
    for (const chat of chats) WPP.chat.markIsRead(chat).catch(() => {});
  }

  async function deliver({ whatsapp_id: id, chat, body, maybe_sent: maybeSent, only_look: onlyLook }) {
    if (!isOnline()) return { status: 'offline' };
    if (await wasSent(id, maybeSent)) return { status: 'sent' };
    if (onlyLook) {
      await caughtUp();
      return { status: isReceipted(id) ? 'sent' : 'not_known' };
    }
    const options = { messageId: id, waitForAck: true, markIsRead: false, linkPreview: false, detectMentioned: false };
    let sent;
    try {
      sent = await WPP.chat.sendTextMessage(chat, body, options);
    } catch (error) {
      if (error?.code === 'invalid_wid') return { status: 'invalid_recipient' };
      throw error;
    }
    const result = sent.sendMsgResult?.messageSendResult ?? sent.sendMsgResult;
    if (result === 'ERROR_NETWORK') return { status: 'offline' };
    if (result !== 'OK') return { status: 'refused', result: String(result).toWellFormed() };
    heard();
    markReadSoon(chat);
    return { status: 'sent' };
  }

  // Whether the server has taken an earlier send of this id. One that is still under way in the page is given a moment:
  // after a restart the page sends by itself what it had not sent.
  async function wasSent(id, maybeSent) {
    if (maybeSent && isReceipted(id)) return true;
    const model = WPP.whatsapp.MsgStore.get(id) ?? (maybeSent ? await findOnDisk(id) : undefined);
    if (!model) return false;
    if (model.ack === 0) {
      await Promise.race([new Promise((resolve) => model.once('change:ack', resolve)), after(PENDING_GRACE_MS)]);
    }
    return model.ack > 0;
  }

  async function findOnDisk(id) {
    try {
      return await WPP.chat.getMessageById(id);
    } catch (error) {
      if (error?.code === 'msg_not_found' || error?.code === 'chat_not_found') return undefined;
      throw error;
    }
  }

  // Tells anew all that is not confirmed, for the node may have lost it, and what came before the bridge: in the order in
  // which the page has them, so that none overtakes another of its chat. What the page has no more is older.
  function sweep() {
    tell({ event: 'sweep_begun' });
    const places = new Map(takeUntold().map((id, at) => [id, at]));
    for (const entry of backlog.values()) entry.isTold = false;
    told = 0;
    toldChars = 0;
    const placeOf = (id) => places.get(id) ?? -1;
    const unconfirmed = [...backlog.keys()].filter((id) => !confirmed.has(id));
    waiting.splice(0, waiting.length, ...unconfirmed.sort((one, other) => placeOf(one) - placeOf(other)));
    tellWaiting();
  }

  async function probe(heardWithinMs) {
    const { mode, info } = WPP.conn.getStreamData();
    return {
      authenticated: Boolean(WPP.conn.isAuthenticated()),
      stream_mode: String(mode).toWellFormed(),
      stream_info: String(info).toWellFormed(),
      online: WPP.conn.isOnline() !== false,
      answered: await serverAnswers(heardWithinMs),
    };
  }

  // A page can look connected and be deaf. If nothing was heard for so long the server is asked whether the tenant's own
  // number exists, which goes through the same connection as the messages. Whatever comes then is an answer, a refusal too.
  async function serverAnswers(heardWithinMs) {
    if (now() - heardAt < doubtedAfter(heardWithinMs)) return true;
    const me = WPP.conn.getMyUserWid();
    if (!me) return false;
    const askedAt = now();
    const asked = WPP.whatsapp.functions.queryWidExists(me).then(() => true, () => heardAt >= askedAt);
    const answered = await Promise.race([asked, after(PROBE_MS, false)]);
    if (answered) heard();
    return answered;
  }

  // Whoever waits for an acknowledgement has reason to doubt sooner.
  function doubtedAfter(heardWithinMs) {
    const [oldest] = sending.values();
    const isLate = oldest !== undefined && now() - oldest.since > ACK_LATE_MS;
    return isLate ? Math.min(ACK_LATE_MS, heardWithinMs) : heardWithinMs;
  }

  // Resolves with null once the page is logged out, else with what was in the way. `WPP.conn.logout()` waits for the event
  // alone and never tells of a refusal; and where `Socket.logout()` promises nothing, the event alone is the proof.
  async function logout() {
    const out = new Promise((resolve) => { left = resolve; });
    const asked = Promise.resolve().then(() => WPP.whatsapp.Socket.logout()).then(() => out);
    const late = after(LOGOUT_MS).then(() => { throw new Error(`no answer within ${LOGOUT_MS / 1_000} s`); });
    return Promise.race([out, asked, late]).then(() => null, (error) => String(error?.message ?? error));
  }

  // A code of eight characters, which links this page when it is typed on the phone of this number.
  async function pairingCode(phone) {
    const late = after(PAIRING_MS).then(() => { throw new Error(`no answer within ${PAIRING_MS / 1_000} s`); });
    const asked = Promise.resolve().then(() => WPP.conn.genLinkDeviceCodeForPhoneNumber(phone));
    return Promise.race([asked, late]).then(
      (text) => ({ status: 'code', text: String(text), expires_in_seconds: TYPED_CODE_SECONDS }),
      (error) => ({ status: 'refused', reason: String(error?.message ?? error).toWellFormed() }),
    );
  }

  const bridge = {
    confirm,
    send,
    sendAll,
    sweep,
    probe,
    pairingCode,
    logout,
    takeOver: () => { WPP.whatsapp.Socket.takeover(); },
  };
  Object.defineProperty(window, '__roost', { value: Object.freeze(bridge) });
  const [navigation] = performance.getEntriesByType('navigation');
  tell({ event: 'loaded', status: navigation?.responseStatus ?? 0 });
})
