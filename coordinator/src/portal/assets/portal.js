// Brings the card of the status anew whenever something changes, and says so to those who do not see it.
"use strict";

const live = document.querySelector("[data-live]");
if (live) {
  const announce = document.getElementById("announce");
  const offline = document.getElementById("offline");
  const source = new EventSource(live.dataset.live);
  let told = live.querySelector("[data-announce]")?.dataset.announce;

  source.addEventListener("status", (event) => {
    offline.hidden = true;
    // Who is about to press a button keeps it.
    const pressed = live.contains(document.activeElement) ? document.activeElement.value : null;
    live.innerHTML = event.data;
    if (pressed) live.querySelector(`button[value="${CSS.escape(pressed)}"]`)?.focus();
    const now = live.querySelector("[data-announce]")?.dataset.announce;
    if (now && now !== told) announce.textContent = now;
    told = now;
  });
  // Signed out, or no member any more: the page says what to do.
  source.addEventListener("over", () => location.reload());
  source.onerror = () => {
    offline.hidden = false;
  };
}
