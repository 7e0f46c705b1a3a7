// Modules about the session: who this is, how it is linked, how the connection stands.

import { define } from './registry.js';
import { fromBase64, pairingKeys, toBase64 } from './credentials.js';
import { Cmd, CmdImpl, Conn, askForLinkCode, isLoggedIn, isRegistered, me, NetworkStatus, Socket, Stream } from './session.js';
import { getOfflineDeliveryProgress } from './backlog.js';
import { settings } from './settings.js';
import { ask } from './connection.js';
import { Emitter } from './events.js';
import { MsgKey, Wid, WidFactory } from './ids.js';

export const VERSION = '2.3000.1031999999';

const SOCKET_STATE = Object.fromEntries(
  ['OPENING', 'PAIRING', 'UNPAIRED', 'UNPAIRED_IDLE', 'CONNECTED', 'TIMEOUT', 'CONFLICT', 'UNLAUNCHED', 'PROXYBLOCK',
    'TOS_BLOCK', 'SMB_TOS_BLOCK', 'DEPRECATED_VERSION'].map((name) => [name, name]),
);
const SOCKET_STREAM = { DISCONNECTED: 'DISCONNECTED', SYNCING: 'SYNCING', RESUMING: 'RESUMING', CONNECTED: 'CONNECTED' };

function meOrThrow(wid) {
  if (!wid) throw new Error('not linked');
  return wid;
}

// Either half of the previous logout is asked for by the next page, from the address it was sent to.
function logoutReason() {
  const previous = { code: undefined, message: undefined };
  const CODES = { user_initiated: 0, phone: 1, replaced: 2, unknown_device: 3 };
  return {
    getErrorCodeFromLogoutReason: (reason) => CODES[reason] ?? CODES.unknown_device,
    getPrevLogoutReasonCode: () => previous.code,
    setPrevLogoutReasonCode: (code) => { previous.code = code; },
    getPrevCustomLogoutMessage: () => previous.message,
    setPrevCustomLogoutMessage: (message) => { previous.message = message; },
  };
}

// A real round trip to the server: the one question a library can ask that proves the connection alive.
async function queryWidExists(wid) {
  const { exists } = await ask({ type: 'query', wid: String(wid) });
  return exists ? { wid: WidFactory.createWid(String(wid)), biz: false } : null;
}

export function defineSessionModules() {
  define('WAWebLoginState', { isLoggedIn: () => isLoggedIn() });
  define('WAWebRegistrationState', { isRegistered: () => isRegistered() });
  define('WAWebUserPrefsMeUser', {
    getMaybeMePnUser: () => me.wid ?? undefined,
    getMaybeMeLidUser: () => me.lid ?? undefined,
    getMeLidUserOrThrow: () => meOrThrow(me.lid),
    getMePnUserOrThrow: () => meOrThrow(me.wid),
    getMaybeMeDevicePn: () => me.wid ?? undefined,
    isMeAccount: (wid) => Boolean(me.wid?.equals(wid) || me.lid?.equals(wid)),
  });
  define('WAWebConnModel', { Conn });
  define('WAWebSocketModel', { Socket });
  define('WAWebSocketConstants', { SOCKET_STATE, SOCKET_STREAM, WATCHED_SOCKET_STATE: SOCKET_STATE });
  define('WAWebStreamModel', { Stream });
  define('WAWebCmd', { Cmd, CmdImpl });
  define('WAWebNetworkStatus', { default: NetworkStatus });
  define('WAWebLogoutReason', logoutReason());
  define('WAWebBackendEventBus', { BackendEventBus: new Emitter(), BackendEvent: {} });
  define('WAWebBuildConstants', {
    VERSION_STR: VERSION,
    SANITIZED_VERSION_STR: VERSION,
    VERSION_BASE: VERSION,
    VERSION_PRIMARY: '2',
    VERSION_SECONDARY: '3000',
    VERSION_TERTIARY: '1031999999',
  });
  define('WAWebOfflineHandler', { OfflineMessageHandler: settings.backlog_progress ? { getOfflineDeliveryProgress } : {} });
  defineLinking();
  define('WAWebWid', { default: Wid });
  define('WAWebWidFactory', { ...WidFactory });
  define('WAWebMsgKey', { default: MsgKey });
  define('WATimeUtils', { unixTime: () => Math.floor(Date.now() / 1000) });
  define('WAWebQueryExistsJob', { queryWidExists, queryPhoneExists: queryWidExists });
}

function defineLinking() {
  define('WABase64', { encodeB64: toBase64, decodeB64: fromBase64 });
  define('WAWebUserPrefsInfoStore', {
    waNoiseInfo: { get: async () => ({ staticKeyPair: { pubKey: pairingKeys.noise } }) },
  });
  define('WAWebSignalStoreApi', {
    waSignalStore: { getRegistrationInfo: async () => ({ identityKeyPair: { pubKey: pairingKeys.identity } }) },
  });
  define('WAWebUserPrefsMultiDevice', {
    getADVSecretKey: () => pairingKeys.advSecret,
    setADVSignedIdentity: async () => {},
  });
  define('WAWebAdvSignatureApi', {});
  define('WAWebCompanionRegClientUtils', { DEVICE_PLATFORM: '1' });
  // A guess: the real page makes the code itself, and goes on rotating its QR codes or not.
  define('WAWebAltDeviceLinkingApi', {
    initializeAltDeviceLinking: async () => {},
    startAltLinkingFlow: askForLinkCode,
    genLinkDeviceCodeForPhoneNumber: askForLinkCode,
    setPairingType() {},
    initializeQRLinking: async () => {},
  });
  define('WAWebLaunchSocketUtils', { refreshQR: () => Cmd.refreshQR() });
}
