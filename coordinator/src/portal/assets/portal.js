// Brings anew what a page has that changes by itself, and says so to those who do not see it. Times are shown in the reader's zone.
"use strict";

const moments = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });

function localise(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    time.textContent = moments.format(new Date(time.dateTime));
  }
}
localise(document);

const live = document.querySelector("[data-live]");
const offline = document.getElementById("offline");
const announce = document.getElementById("announce");
// The browser gives up when it is answered with anything but events.
const AGAIN_AFTER = 5_000;

function follow() {
  const source = new EventSource(live.dataset.live);
  source.addEventListener("status", (event) => show(event.data));
  source.addEventListener("more", (event) => add(event.data));
  // Signed out, or no member any more: the page says what to do.
  source.addEventListener("over", () => location.reload());
  source.onopen = () => {
    offline.hidden = true;
  };
  source.onerror = () => {
    offline.hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(returnOrFollow, AGAIN_AFTER);
  };
}

// Who is not signed in any more is led elsewhere; who has no answer goes on asking.
async function returnOrFollow() {
  const answer = await fetch(location.href, { redirect: "manual" }).catch(() => null);
  if (answer?.type === "opaqueredirect" || answer?.status === 404) location.reload();
  else follow();
}

let told = live?.querySelector("[data-announce]")?.dataset.announce;
function show(card) {
  offline.hidden = true;
  // Who is about to press a button keeps it.
  const pressed = live.contains(document.activeElement) ? document.activeElement.value : null;
  live.innerHTML = card;
  localise(live);
  if (pressed) live.querySelector(`button[value="${CSS.escape(pressed)}"]`)?.focus();
  // A code that was typed is of no use any more. Until then it stays, whatever the card shows.
  if (live.querySelector(".state-answering")) document.getElementById("code")?.remove();
  const now = live.querySelector("[data-announce]")?.dataset.announce;
  if (now && now !== told) announce.textContent = now;
  told = now;
}

// Of a log that is left open, the newest.
const LINES_AT_MOST = 1_000;
function add(lines) {
  const isAtEnd = live.scrollTop + live.clientHeight >= live.scrollHeight - 8;
  live.insertAdjacentHTML("beforeend", lines);
  while (live.children.length > LINES_AT_MOST) live.firstElementChild.remove();
  localise(live);
  if (isAtEnd) live.scrollTop = live.scrollHeight;
}

if (live) follow();

// What would be answered, while it is typed.
const tried = document.querySelector("form[data-preview]");
const PAUSE = 300;
let asked = 0;
let waiting;
async function preview() {
  const number = ++asked;
  const body = new URLSearchParams(new FormData(tried));
  const answer = await fetch(tried.dataset.preview, { method: "POST", body, redirect: "error" }).catch(() => null);
  const shown = answer?.ok ? await answer.text().catch(() => null) : null;
  // An answer that was overtaken is not shown.
  if (shown !== null && number === asked) document.getElementById("preview").innerHTML = shown;
}
tried?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(preview, PAUSE);
});

