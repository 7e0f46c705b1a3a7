// A simulated WhatsApp Web: the page. Storage is read first, so that the session's state is right before a library
// can look at it; then the modules appear, then the connection is opened (or before that: see `connect_early`).

import { storage } from './storage.js';
import { answered, connection, failRequests, requestRefused } from './connection.js';
import { historyArrived, messagesArrived } from './inbound.js';
import {
  failUnanswered,
  messageAccepted,
  receiptArrived,
  restoreChats,
  restoreUnsent,
  retryAsked,
  sendUnsent,
} from './outbound.js';
import { defineMessageModules } from './modules-messages.js';
import { defineQuietModules } from './modules-quiet.js';
import { defineSessionModules, VERSION } from './modules-session.js';
import { hide, publish } from './registry.js';
import * as backlog from './backlog.js';
import * as build from './build.js';
import * as session from './session.js';
import * as settings from './settings.js';

const frames = {
  code: session.codeShown,
  paired: session.paired,
  welcome() {
    session.welcomed();
    backlog.begins();
    sendUnsent();
  },
  conflict: session.conflicted,
  outdated: session.outdated,
  logged_out: session.loggedOut,
  messages: messagesArrived,
  sent: messageAccepted,
  backlog: backlog.isAnnounced,
  receipt(frame) {
    receiptArrived(frame);
    backlog.came(frame.ids);
  },
  answer: answered,
  link_code: answered,
  done: answered,
  refused: requestRefused,
  history: historyArrived,
  retry: retryAsked,
  reload: () => location.reload(),
  settings: settings.change,
};

async function boot() {
  await storage.open();
  await session.restoreSession();
  await build.load(session.me.phone);
  await settings.load(session.me.phone);
  await settings.burnStartCost();
  await restoreChats();
  await restoreUnsent();
  defineSessionModules();
  defineMessageModules();
  defineQuietModules();
  if (settings.settings.connect_early) {
    connect();
    await settings.connectedEarly();
  }
  const hiddenAfter = build.hidesModulesAfter();
  if (hiddenAfter !== 0) publish();
  if (hiddenAfter) setTimeout(hide, hiddenAfter);
  window.Debug = { VERSION };
  if (!settings.settings.connect_early) connect();
}

function connect() {
  connection.start({
    opened: session.greet,
    closed() {
      session.connectionLost();
      failUnanswered();
      failRequests();
    },
    frame: (frame) => frames[frame.type]?.(frame),
  });
}

boot();
