// Times in the reader's own zone, and the form token with every request that htmx sends.
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
    time.textContent = whole.format(at);
    time.title = withZone.format(at);
    time.dataset.local = "";
  }
}

document.addEventListener("DOMContentLoaded", () => localise(document));
document.addEventListener("htmx:after:swap", () => localise(document));
