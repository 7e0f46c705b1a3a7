// The session of this device. The token that the server knows is sealed with a key that cannot leave IndexedDB;
// the sealed token lives in localStorage. Copying one of the two, or reading both through JavaScript and writing
// them elsewhere, gives no session: only the profile's files do.

import { storage } from './storage.js';

const SEALED = 'WANoiseInfo';
const IV = 'WANoiseInfoIv';
const LAST_WID = 'last-wid-md';

export const toBase64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
export const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

const randomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

// Shown in the QR code of an unlinked page; fresh for every page load.
export const pairingKeys = {
  noise: randomBytes(32),
  identity: randomBytes(32),
  advSecret: toBase64(randomBytes(32)),
};

export async function saveCredentials({ token, ...device }) {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const iv = randomBytes(12);
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, new TextEncoder().encode(token));
  await storage.replaceCredentials(key, device);
  localStorage.setItem(SEALED, toBase64(sealed));
  localStorage.setItem(IV, toBase64(iv));
  localStorage.setItem(LAST_WID, JSON.stringify(`${device.phone}:1@c.us`));
}

// The device and its token, or null when any part is missing or does not fit the others.
export async function loadCredentials() {
  const { key, device } = await storage.credentials();
  const sealed = localStorage.getItem(SEALED);
  const iv = localStorage.getItem(IV);
  if (!key || !device || !sealed || !iv) return null;
  try {
    const token = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: fromBase64(iv) }, key, fromBase64(sealed));
    return { ...device, token: new TextDecoder().decode(token) };
  } catch (error) {
    console.warn('the stored session does not open; a new scan is needed', error);
    return null;
  }
}

export async function forgetCredentials() {
  for (const name of [SEALED, IV, LAST_WID]) localStorage.removeItem(name);
  await storage.replaceCredentials(null, null);
}
