// Runs before textual.js: tells it where the socket is, and what to show when the visit has ended.
"use strict";

// A download needs no window of its own, which browsers may refuse to open.
const openWindow = window.open.bind(window);
window.open = (address, target) => {
  const url = new URL(address, location.href);
  if (url.origin !== location.origin || !url.pathname.startsWith("/download/")) {
    return openWindow(address, target, "noopener");
  }
  const link = document.createElement("a");
  link.href = url.href;
  link.download = "";
  link.click();
  return null;
};

document.addEventListener("DOMContentLoaded", () => {
  const terminal = document.getElementById("terminal");
  const asked = Number(new URLSearchParams(location.search).get("fontsize"));
  if (asked >= 6 && asked <= 72) {
    terminal.dataset.fontSize = String(asked);
  }
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  terminal.dataset.sessionWebsocketUrl = `${scheme}//${location.host}/ws`;
  document.getElementById("again").addEventListener("click", () => location.reload());
  // Once there is something to see keys go there, with no click before.
  new MutationObserver(() => {
    const shown = document.body.classList;
    document.getElementById("closed").hidden = !shown.contains("-closed");
    if (shown.contains("-closed")) {
      document.getElementById("again").focus();
    } else if (shown.contains("-first-byte")) {
      document.querySelector(".xterm-helper-textarea").focus();
    }
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
});
