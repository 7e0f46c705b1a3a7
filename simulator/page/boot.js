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
import { startCostMs } from './start-cost.js';

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
  await burnStartCost();
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

const SLICE_MS = 40;

// What a large bundle costs: processor time of the page's own thread, in slices between which it can be reached.
async function burnStartCost() {
  let left = startCostMs;
  while (left > 0) {
    const until = performance.now() + Math.min(SLICE_MS, left);
    while (performance.now() < until);
    left -= SLICE_MS;
    await new Promise((resolve) => setTimeout(resolve));
  }
}

boot();
