// What is under way is looked at again every few seconds, as long as somebody sees it.
"use strict";

let looked = Date.now();

setInterval(() => {
  const part = document.querySelector("[data-fresh]");
  if (!part || document.hidden || Date.now() - looked < part.dataset.fresh * 1000) return;
  looked = Date.now();
  htmx.trigger(part, "look");
}, 500);
