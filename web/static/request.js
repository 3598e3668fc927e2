// The page of a request: keys, forms that a link leads to, and what happens to it meanwhile.
"use strict";

(() => {
  // What a reader has opened stays open when the page is brought up to date.
  if (window.htmx) htmx.config.morphIgnore.push("open");

  const FORMS = { a: "approve", r: "reject", e: "edit" };

  function isTyped(field) {
    if (field.type === "hidden") return false;
    if (field.type === "checkbox" || field.type === "radio") {
      return field.checked !== field.defaultChecked;
    }
    if (field.tagName === "SELECT") {
      return [...field.options].some((one) => one.selected !== one.defaultSelected);
    }
    return field.value !== field.defaultValue;
  }

  function somethingIsTyped() {
    const fields = document.querySelectorAll("#request :is(input, textarea, select)");
    return document.querySelector(".draft, #request[data-typed]") !== null || [...fields].some(isTyped);
  }

  // What is approved has to be what was reviewed: not beside changes that it would drop.
  function hasUnreviewed() {
    return [...document.querySelectorAll("#edit :is(input, textarea, select)")].some(isTyped);
  }

  function guard() {
    const held = hasUnreviewed();
    for (const notice of document.querySelectorAll(".unreviewed")) notice.hidden = !held;
    for (const button of document.querySelectorAll("#approve button.good")) button.disabled = held;
    for (const link of document.querySelectorAll(".thumb .approve")) {
      link.dataset.words ??= link.textContent;
      link.textContent = held ? "Review changes" : link.dataset.words;
      link.setAttribute("href", held ? "#edit" : "#approve");
    }
  }

  function discard() {
    document.getElementById("edit").reset();
    document.getElementById("edit-box").open = false;
    guard();
    show("approve");
  }

  // The bar for the thumb is not needed where the form's own button can be seen.
  let seen = null;
  function watch() {
    seen?.disconnect();
    const bar = document.querySelector(".thumb");
    if (!bar) return;
    const visible = new Set();
    seen = new IntersectionObserver((entries) => {
      for (const one of entries) visible[one.isIntersecting ? "add" : "delete"](one.target);
      bar.classList.toggle("away", visible.size > 0);
    });
    for (const button of document.querySelectorAll("#request :is(#approve, #reject, #edit) button:not([type=button])")) {
      seen.observe(button);
    }
  }

  function show(id) {
    const form = document.getElementById(id);
    if (!form?.closest("#request") || form.tagName !== "FORM") return false;
    for (let box = form.closest("details"); box; box = box.parentElement?.closest("details")) {
      box.open = true;
    }
    const field = form.querySelector(":is(input:not([type=hidden]), textarea, select)");
    (field ?? form.querySelector("button"))?.focus({ preventScroll: true });
    form.scrollIntoView({ block: "center" });
    return true;
  }

  function follow() {
    show(location.hash.slice(1));
  }

  document.addEventListener("DOMContentLoaded", () => {
    guard();
    watch();
    const problem = document.getElementById("problem");
    const faulty = document.querySelector("#request [aria-invalid=true]");
    if (faulty) faulty.focus();
    else if (problem) problem.focus();
    // What was said once is not said again when the page is loaded anew.
    const here = new URL(location.href);
    if (here.searchParams.has("said")) {
      here.searchParams.delete("said");
      history.replaceState(null, "", here);
    }
  });

  // Once the browser itself has gone to the fragment, which takes the focus away.
  window.addEventListener("load", () => setTimeout(() => {
    if (!document.getElementById("problem")) follow();
  }));
  window.addEventListener("hashchange", follow);

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".thumb a, a[href='#approve'], a[href='#edit']");
    if (link && show(new URL(link.href).hash.slice(1))) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = event.target.closest?.("#request form");
      if (form) {
        event.preventDefault();
        form.requestSubmit();
      }
    } else if (event.key === "Escape" && event.target.closest?.("#request form")) {
      event.target.blur();
    } else if (FORMS[event.key] && isForPage(event) && show(FORMS[event.key])) {
      event.preventDefault();
    }
  });

  // A second click while the first is on its way would only repeat it.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || !event.target.closest("#request")) return;
    if (event.target.id === "approve" && hasUnreviewed()) {
      event.preventDefault();
      guard();
      show("edit");
      return;
    }
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
    event.submitter?.setAttribute("aria-busy", "true");
  });
  for (const kind of ["input", "change", "reset"]) document.addEventListener(kind, () => guard());
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-discard]")) discard();
  });
  window.addEventListener("pageshow", () => {
    guard(); // a browser that goes back puts in again what was typed
    for (const form of document.querySelectorAll("#request form[data-sent]")) {
      delete form.dataset.sent;
      form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    }
  });

  // Brought up to date at once, unless that would take away what somebody has typed.
  document.addEventListener("htmx:before:request", (event) => {
    if (event.target.id !== "refresh" || !somethingIsTyped()) return;
    event.preventDefault();
    document.getElementById("stale").hidden = false;
  });
  document.addEventListener("htmx:after:swap", () => {
    guard();
    watch();
    const status = document.getElementById("request")?.dataset.status;
    if (status) say(`This request has changed. It is ${status === "pending" ? "waiting" : status}.`);
  });
})();
