// The WebSocket to the server: one at a time, JSON frames both ways, reconnects with back-off until told to stop.
//
// A new socket is opened only after the old one has reported `close`. The server's record of live connections
// judges whether one session was ever open twice, and this page must not be the one that blurs it.

import { settings } from './settings.js';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 4_000;

class Connection {
  #socket = null;
  #wanted = false;
  #delay = FIRST_DELAY_MS;
  #handlers = null;
  #nextPing = undefined;
  isAccepted = false;

  // handlers: opened(), closed(), frame(frame)
  start(handlers) {
    this.#handlers = handlers;
    this.resume();
  }

  resume() {
    this.#wanted = true;
    this.#delay = FIRST_DELAY_MS;
    if (!this.#socket) this.#open();
  }

  // The server has accepted this page: the next loss is a new one.
  accepted() {
    this.#delay = FIRST_DELAY_MS;
    this.isAccepted = true;
  }

  // Closes for good (until resume) and resolves when the socket is closed.
  stop() {
    this.#wanted = false;
    const socket = this.#socket;
    if (!socket) return Promise.resolve();
    return new Promise((resolve) => {
      socket.addEventListener('close', resolve);
      socket.close();
    });
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(frame) {
    if (this.isOpen) this.#socket.send(JSON.stringify(frame));
  }

  // From now on a ping so often, whatever else is sent.
  keepAlive() {
    clearTimeout(this.#nextPing);
    if (!this.isOpen || !settings.keep_alive_ms) return;
    this.#nextPing = setTimeout(() => {
      this.send({ type: 'ping' });
      this.keepAlive();
    }, settings.keep_alive_ms);
  }

  #open() {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#handlers.opened();
      this.keepAlive();
    };
    socket.onmessage = ({ data }) => this.#handlers.frame(JSON.parse(data));
    socket.onclose = () => {
      this.#socket = null;
      this.#handlers.closed();
      if (!this.#wanted) return;
      setTimeout(() => {
        if (this.#wanted && !this.#socket) this.#open();
      }, this.#delay);
      this.#delay = Math.min(LONGEST_DELAY_MS, this.#delay * 2);
    };
  }
}

export const connection = new Connection();

// Requests that the server answers by number, for whatever a library asks of the server.
const requests = new Map();
let lastRequest = 0;

export function ask(frame) {
  return new Promise((resolve, reject) => {
    if (!connection.isOpen) {
      reject(new Error('not connected'));
      return;
    }
    const request = ++lastRequest;
    requests.set(request, { resolve, reject });
    connection.send({ ...frame, request });
  });
}

export function answered({ request, ...answer }) {
  requests.get(request)?.resolve(answer);
  requests.delete(request);
}

export function requestRefused({ request, error }) {
  requests.get(request)?.reject(new Error(error));
  requests.delete(request);
}

export function failRequests() {
  for (const { reject } of requests.values()) reject(new Error('connection closed'));
  requests.clear();
}
