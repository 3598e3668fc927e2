// Times in the reader's own zone, the list of keys, and what every page's script shares.
"use strict";

const whole = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium", timeStyle: "short",
});
const withZone = new Intl.DateTimeFormat(undefined, {
  dateStyle: "full", timeStyle: "long",
});

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(time.dateTime);
    if (!time.hasAttribute("data-words")) time.textContent = whole.format(at);
    time.title = withZone.format(at);
    time.dataset.local = "";
  }
}

document.documentElement.classList.add("js");
document.addEventListener("DOMContentLoaded", () => localise(document));
document.addEventListener("htmx:after:swap", () => localise(document));

// For other scripts of ours: whether a key that was pressed is meant for the page, not for a field
// that somebody types in, nor for the browser.
function isForPage(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  if (event.isComposing || document.querySelector("dialog[open]")) return false;
  const typing = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
  return !(event.target instanceof Element && event.target.closest(typing));
}

// Says something to a screen reader, without moving anybody anywhere.
function say(words) {
  const line = document.getElementById("said");
  if (line) line.textContent = words;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-opens]");
  if (button) document.getElementById(button.dataset.opens)?.showModal();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "?" && isForPage(event)) {
    event.preventDefault();
    document.getElementById("help")?.showModal();
  }
});
