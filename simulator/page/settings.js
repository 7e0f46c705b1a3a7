// How hard this page is on those who drive it. The server says so before the page connects, and when it is changed.

import { connection } from './connection.js';

export const settings = {
  // What becomes of a send without a connection: 'fail' at once, or 'wait' for the next one.
  unsent: 'fail',
  connect_early: false,
  kept_in_memory: 1_000,
  start_cost_ms: 0,
  backlog_progress: true,
  // How often the server is pinged; 0: never.
  keep_alive_ms: 25_000,
  leak_mib_per_s: 0,
  spin_threads: 0,
};

export function change({ settings: changed }) {
  Object.assign(settings, changed);
  connection.keepAlive();
  leak();
  spin();
}

const MIB = 1 << 20;
const leaked = [];
let leaking;

// Once a second, for as long as the page lives or until it is told to stop; what it has taken it keeps.
function leak() {
  clearInterval(leaking);
  if (!settings.leak_mib_per_s) return;
  leaking = setInterval(() => leaked.push(new Uint8Array(settings.leak_mib_per_s * MIB).fill(1)), 1_000);
}

const ENDLESS = URL.createObjectURL(new Blob(['for (;;);']));
const spinning = [];

// In threads beside the page's own, which goes on answering.
function spin() {
  while (spinning.length < settings.spin_threads) spinning.push(new Worker(ENDLESS));
  while (spinning.length > settings.spin_threads) spinning.pop().terminate();
}

export async function load(phone) {
  const response = await fetch(phone ? `/settings?phone=${phone}` : '/settings');
  if (response.ok) change({ settings: await response.json() });
}

const SLICE_MS = 40;

// What a large bundle costs: processor time of the page's own thread, in slices between which it can be reached.
export async function burnStartCost() {
  let left = settings.start_cost_ms;
  while (left > 0) {
    const until = performance.now() + Math.min(SLICE_MS, left);
    while (performance.now() < until);
    left -= SLICE_MS;
    await new Promise((resolve) => setTimeout(resolve));
  }
}

// Long enough for what waits at the server to come in before a library can have attached.
const EARLY_MS = 300;
const EARLY_AT_MOST_MS = 5_000;

// Resolves once the page has been connected for a moment.
export async function connectedEarly() {
  const deadline = performance.now() + EARLY_AT_MOST_MS;
  while (!connection.isAccepted && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await new Promise((resolve) => setTimeout(resolve, EARLY_MS));
}
