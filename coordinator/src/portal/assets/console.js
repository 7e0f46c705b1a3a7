// Has the live part of a page renewed whenever it changes, and says so to those who do not see it. Times are shown in the reader's zone.
"use strict";

const moments = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

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
  source.addEventListener("part", (event) => show(event.data));
  // Signed out, or a user no more: the page says what to do.
  source.addEventListener("over", () => location.reload());
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

// By which what has the focus is found again.
const nameOf = (element) => element.getAttribute("href") ?? element.value ?? element.getAttribute("aria-label");

let told = live?.querySelector("[data-announce]")?.dataset.announce;
function show(part) {
  offline.hidden = true;
  const focused = live.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  live.innerHTML = part;
  localise(live);
  if (focused) [...live.querySelectorAll("a, button, [tabindex]")].find((one) => nameOf(one) === focused)?.focus();
  const now = live.querySelector("[data-announce]")?.dataset.announce;
  if (now && announce && now !== told) announce.textContent = now;
  told = now;
}

if (live) follow();
