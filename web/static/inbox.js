// The list: keys, selecting, and what is said and marked when it changes by itself.
"use strict";

const rows = () => [...document.querySelectorAll("#rows > .row")];
const focused = () => document.activeElement?.closest("#rows > .row");

// Keys

function move(step) {
  const all = rows();
  const at = all.indexOf(focused());
  const to = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step];
  const link = to?.querySelector(".title");
  link?.focus();
  to?.scrollIntoView({ block: "nearest" });
}

function open(part) {
  const row = focused();
  if (row) location.assign(row.dataset.href + part);
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  a: () => open("#approve"),
  r: () => open("#reject"),
  e: () => open("#edit"),
  x: () => focused()?.querySelector("input[name=pick]")?.click(),
  "/": () => document.getElementById("q")?.select(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) return leave(event);
  if (!isForPage(event) || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

function leave(event) {
  if (event.target.id === "q" && event.target.value) {
    event.target.value = "";
    if (event.target.defaultValue) return event.target.form.requestSubmit();
  }
  if (event.target instanceof HTMLElement && event.target.matches("input, select, textarea")) {
    return event.target.blur();
  }
  for (const box of document.querySelectorAll("input[name=pick]:checked")) box.checked = false;
  count();
}

// Selecting

function count() {
  const bar = document.getElementById("picked");
  if (!bar) return;
  const chosen = [...document.querySelectorAll("input[name=pick]:checked")];
  const of = chosen[0]?.dataset.checkpoint;
  for (const box of document.querySelectorAll("input[name=pick]")) {
    // What is ticked stays free: it may have come so, and has to be sent or unticked.
    box.disabled = of !== undefined && box.dataset.checkpoint !== of && !box.checked;
    box.title = box.disabled ? `Of ${box.dataset.checkpoint}: only requests of one checkpoint go together` : "";
  }
  const mixed = chosen.some((box) => box.dataset.checkpoint !== of);
  bar.classList.toggle("has", chosen.length > 0);
  document.getElementById("picked-count").textContent = `${chosen.length} selected`;
  document.getElementById("picked-hint").textContent = mixed
    ? "of several checkpoints: select those of one"
    : `of ${of}; each is a decision of its own`;
}

document.addEventListener("change", (event) => {
  if (event.target.name === "pick") count();
});

// Whoever is rejected has to know why.
document.addEventListener("submit", (event) => {
  const reason = document.getElementById("bulk-reason");
  if (event.target.id !== "bulk" || event.submitter?.value !== "reject" || reason.value.trim()) return;
  event.preventDefault();
  reason.setCustomValidity("Say why: the agents are told.");
  reason.reportValidity();
});

document.addEventListener("click", (event) => {
  // It is no obstacle to approving, nor to what is typed next.
  if (event.target.closest?.("#bulk button")) document.getElementById("bulk-reason").setCustomValidity("");
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "filters") return;
  for (const field of event.target.elements) {
    field.disabled = field.value === "" || (field.name === "sort" && field.value === "newest");
  }
});

window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("#filters :disabled")) field.disabled = false;
  count();
});

// Live

const NEW = "data-kept-new";
let known = new Set();
let place = -1;

document.addEventListener("DOMContentLoaded", () => {
  known = new Set(rows().map((row) => row.id));
  // Ticked by the page itself, after a refusal: from here on as if the reader had done it.
  for (const box of document.querySelectorAll("input[name=pick]:checked")) box.checked = true;
  const live = document.getElementById("live");
  if (live && location.pathname === "/bulk") history.replaceState(null, "", live.getAttribute("hx-get"));
});

document.addEventListener("htmx:before:swap", () => {
  place = rows().indexOf(focused());
});

document.addEventListener("htmx:after:swap", () => {
  const all = rows();
  const fresh = all.filter((row) => !known.has(row.id));
  const gone = [...known].filter((id) => !document.getElementById(id)).length;
  for (const row of fresh) row.setAttribute(NEW, "");
  known = new Set(all.map((row) => row.id));
  if (fresh.length === 1) say(`New request: ${fresh[0].querySelector(".title").textContent}`);
  else if (fresh.length > 1) say(`${fresh.length} new requests`);
  else if (gone) say(gone === 1 ? "1 request has left the list" : `${gone} requests have left the list`);
  // Who was on a row that somebody else has decided goes on from the one in its place.
  if (place >= 0 && document.activeElement === document.body) {
    all[Math.min(place, all.length - 1)]?.querySelector(".title").focus({ preventScroll: true });
  }
  count();
  const waiting = document.getElementById("views")?.dataset.waiting;
  document.title = (waiting ? `(${waiting}) ` : "") + "Clearance";
});

for (const kind of ["focusin", "pointerover"]) {
  document.addEventListener(kind, (event) => {
    event.target.closest?.(`[${NEW}]`)?.removeAttribute(NEW);
  });
}

let lost = 0;

function connection(state) {
  clearTimeout(lost);
  const line = document.getElementById("stream");
  const show = () => {
    line?.classList.remove("on", "off", "away", "out");
    line?.classList.add(state);
  };
  // Every connection ends at times, and is there again at once: nobody has to be told of that.
  if (state === "off") lost = setTimeout(show, 1_500);
  else show();
}

document.addEventListener("htmx:sse:after:connection", () => connection("on"));
document.addEventListener("htmx:sse:before:connection", (event) => {
  if (event.detail.connection.attempt > 0) connection("off");
});
document.addEventListener("away", () => {
  connection("away");
  say("Can't reach Temporal: what you see may be old");
});
document.addEventListener("changed", () => connection("on"));
document.addEventListener("htmx:sse:error", (event) => {
  if (event.detail.status === 401) connection("out");
});
// The first connection is asked for once only; that it came to nothing is told here.
document.addEventListener("htmx:finally:request", (event) => {
  const line = event.target;
  if (line.id !== "stream" || event.detail.ctx.response?.status === 200) return;
  connection(event.detail.ctx.response?.status === 401 ? "out" : "off");
  setTimeout(() => htmx.trigger(line, "again"), 3_000);
});
