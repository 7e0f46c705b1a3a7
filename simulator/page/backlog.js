// What waited at the server while the page was away. The server says what there is when the page has logged in; how much of
// it has come the page says as the real one does.

import { Cmd } from './session.js';
import { settings } from './settings.js';

// The stanza ids whose receipts have not come yet, and how many there were.
const awaited = new Set();
let announced = 0;

export const getOfflineDeliveryProgress = () => (awaited.size ? Math.floor((1 - awaited.size / announced) * 100) : 100);

export function begins() {
  awaited.clear();
  changed();
}

export function isAnnounced({ receipts }) {
  for (const id of receipts) awaited.add(id);
  announced = awaited.size;
  changed();
}

export function came(ids) {
  const before = awaited.size;
  for (const id of ids) awaited.delete(id);
  if (awaited.size !== before) changed();
}

function changed() {
  if (settings.backlog_progress) Cmd.trigger('offline_progress_update_from_bridge');
}
