// A simulated WhatsApp Web: the page. Storage is read first, so that the session's state is right before a library
// can look at it; then the modules appear, then the connection is opened.

import { storage } from './storage.js';
import { answered, connection, failRequests } from './connection.js';
import { messagesArrived } from './inbound.js';
import { failUnanswered, messageAccepted, receiptArrived, restoreChats } from './outbound.js';
import { defineMessageModules } from './modules-messages.js';
import { defineQuietModules } from './modules-quiet.js';
import { defineSessionModules, VERSION } from './modules-session.js';
import { publish } from './registry.js';
import * as session from './session.js';

const frames = {
  code: session.codeShown,
  paired: session.paired,
  welcome: session.welcomed,
  conflict: session.conflicted,
  outdated: session.outdated,
  logged_out: session.loggedOut,
  messages: messagesArrived,
  sent: messageAccepted,
  receipt: receiptArrived,
  answer: answered,
};

async function boot() {
  await storage.open();
  await session.restoreSession();
  await restoreChats();
  defineSessionModules();
  defineMessageModules();
  defineQuietModules();
  publish();
  window.Debug = { VERSION };
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
