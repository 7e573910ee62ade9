// What a page does beyond links and forms: waiting, a lost server, a session that ended, keys.
// Without this script every form still works. All words come from the page (templates/console/_layout.html).
"use strict";
(() => {
  const SHOW_BAR = 400, SHOW_WORDS = 3000, SHOW_AGAIN = 15000, TRY_AGAIN = 5000, SPEAK_EVERY = 30000, KEY_PAIR = 1500, LEAVE = 30000;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const on = (type, act, capture = false) => document.addEventListener(type, act, capture);
  const polled = (ctx) => ctx.sourceEvent && ctx.sourceEvent.type === "every";
  // An act that waits to be done again is not forgotten for what the page asks by itself, such as a count.
  const asksItself = (ctx) => ctx.sourceElement.hasAttribute("hx-trigger");
  const matters = (ctx, before) => !before || (!polled(ctx) && (asksItself(before) || !asksItself(ctx)));
  const again = (ctx) => window.htmx.ajax(ctx.request.method, ctx.request.action, { source: ctx.sourceElement, event: ctx.sourceEvent });

  // ---- Input methods: nothing is asked while a word is composed; the finished word counts as typed once. ----
  let composed = Promise.resolve(), finish = null;
  on("compositionstart", () => { if (!finish) composed = new Promise((done) => { finish = done; }); }, true);
  on("compositionend", (event) => {
    if (finish) finish();
    finish = null;
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  }, true);
  for (const type of ["input", "keyup", "keydown"]) on(type, (event) => { if (event.isComposing) event.stopPropagation(); }, true);

  // ---- Waiting: a thin bar, then words, then the offer to try again. Polls wait in silence. ----
  const waiting = new Map();
  const progress = (name, shown) => { const part = one(name); if (part) part.hidden = !shown; };
  const wait = (ctx) => {
    progress("#c-wait", false);
    waiting.set(ctx, [
      setTimeout(() => { progress("#c-wait-slow", false); progress("#c-wait-long", false); progress("#c-wait", true); }, SHOW_BAR),
      setTimeout(() => progress("#c-wait-slow", true), SHOW_WORDS),
      setTimeout(() => { progress("#c-wait-slow", false); progress("#c-wait-long", true); }, SHOW_AGAIN),
    ]);
  };
  const stopWaiting = (ctx) => {
    (waiting.get(ctx) || []).forEach(clearTimeout);
    waiting.delete(ctx);
    if (!waiting.size) progress("#c-wait", false);
  };

  // ---- A lost server: old figures stay, greyed; what only reads is asked again, what acts waits for a press. ----
  let lost = null, timer = 0;
  const away = (ctx) => {
    const since = one("[data-updated]"), time = one("#c-away-time");
    if (!lost && time) time.textContent = since ? since.textContent : new Date().toLocaleTimeString(document.documentElement.lang);
    if (matters(ctx, lost)) lost = ctx;
    progress("#c-away", true);
    if (polled(ctx)) ctx.sourceElement.classList.add("stale");
    clearTimeout(timer);
    if (lost.request.method === "GET" && !polled(lost)) timer = setTimeout(() => again(lost), TRY_AGAIN);
  };
  const back = (ctx) => {
    if (lost && !polled(lost) && lost.sourceElement !== ctx.sourceElement) return;
    clearTimeout(timer);
    lost = null;
    progress("#c-away", false);
    all(".stale").forEach((part) => part.classList.remove("stale"));
  };

  // ---- A session that ended: a box asks for the password, then the same act is done once. ----
  const boxed = (ctx) => Boolean(ctx.target) && ctx.target.id === "c-session-form";
  let refused = null;
  const ended = (ctx, event) => {
    if (!boxed(ctx) && matters(ctx, refused)) refused = ctx;
    if (!boxed(ctx) && one("#c-session").open) return event.preventDefault(); // somebody may be typing in it
    ctx.target = one("#c-session-form");
    ctx.swap = "innerHTML";
    ctx.select = null;
    if (!one("#c-session").open) one("#c-session").showModal();
  };
  const renewed = (token) => {
    one('meta[name="csrf"]').content = token;
    all('input[name="csrf"]').forEach((field) => { field.value = token; });
    one("#c-session").close();
    one("#c-session-form").replaceChildren();
    const act = refused;
    refused = null;
    if (act) again(act);
  };

  on("htmx:config:request", (event) => {
    const ctx = event.detail.ctx;
    if (polled(ctx) && (document.hidden || Date.now() - left < LEAVE || one("#c-session[open]"))) return event.preventDefault();
    ctx.request.headers["X-CSRF-Token"] = one('meta[name="csrf"]').content;
    ctx.fetch = (address, options) => composed.then(() => window.fetch(address, options));
  });
  on("htmx:before:request", (event) => { if (!polled(event.detail.ctx)) wait(event.detail.ctx); });
  on("htmx:before:response", (event) => {
    const ctx = event.detail.ctx, status = ctx.response.status, session = ctx.response.headers.get("HX-Session");
    if (status >= 500) away(ctx);
    else back(ctx);
    if (session === "over") ended(ctx, event);
    if (session === "renewed") renewed(ctx.response.headers.get("HX-CSRF"));
    if (session === "renewed" || status >= 500) event.preventDefault();
    if (status >= 400 && !ctx.hx.pushurl) ctx.push = "false";
  });
  on("htmx:after:request", (event) => { // a refusal that is not this page or part again has a place of its own
    const ctx = event.detail.ctx, status = ctx.response.status;
    const bare = ctx.text.includes('<body class="bare">'), part = !ctx.text.includes("<html");
    if (status < 400 || boxed(ctx)) return;
    if (polled(ctx)) return event.preventDefault();
    if (!bare && (part ? ctx.target !== document.body && [409, 412, 422].includes(status) : true)) return;
    [ctx.target, ctx.swap, ctx.select] = [one("#c-refused"), "innerHTML", bare ? "main > :not(.brand)" : null];
  });
  on("htmx:error", (event) => { if (event.detail.ctx && !event.detail.ctx.response) away(event.detail.ctx); });
  on("htmx:finally:request", (event) => stopWaiting(event.detail.ctx));
  on("htmx:after:swap", (event) => {
    const ctx = event.detail.ctx;
    const named = typeof ctx.target === "string" ? one(ctx.target) : ctx.target;
    const target = named && !named.isConnected && named.id ? document.getElementById(named.id) : named;
    // The pause may have changed. A part that is no poll keeps its trigger: a change that waits to be counted would be lost.
    const polls = target && (polled(ctx) || (target.getAttribute("hx-trigger") || "").includes("every"));
    if (String(ctx.swap).endsWith("Morph") && polls) window.htmx.process(target, true);
    const field = boxed(ctx) && one("input:not([type=hidden])", target);
    if (field) field.focus();
    else if (target && target.id === "c-refused") target.focus();
    else if (target && !polled(ctx)) settle(target);
    speak();
  });
  on("visibilitychange", () => {
    if (!document.hidden) all('[hx-trigger*="every"]').forEach((part) => window.htmx.trigger(part, "every", {}, false));
  });

  // ---- A form that keeps nothing until it is saved says so before it is left. Its own sending is no leaving.
  let sends = false, left = 0, half = () => one('form[data-keeps="typed"]');
  on("input", ({ target }) => { if (target.form && target.form.dataset.keeps === "" && target.name[0] !== "_") target.form.dataset.keeps = "typed"; });
  on("submit", (event) => { sends = event.target === half() && !event.defaultPrevented; });
  window.addEventListener("beforeunload", (event) => { if (half() && !sends) event.returnValue = true; });
  // What is still asked when the page is left is broken off, or it would count as a lost server; polls wait for the next page.
  window.addEventListener("beforeunload", () => { left = Date.now(); all("[hx-get]").forEach((part) => part.dispatchEvent(new Event("htmx:abort"))); });

  // ---- Focus goes to what went wrong, else to the heading of a new page. ----
  const settle = (part) => {
    const errors = one("[data-errors]", part), heading = one("main h1");
    if (errors) errors.focus();
    else if (part === document.body && heading) { heading.tabIndex = -1; heading.focus(); }
  };

  // ---- A screen reader hears what changed, at most once in half a minute. ----
  let spoken = "", next = 0, speaking = 0;
  const speak = () => {
    const words = all("[data-say]").map((part) => part.dataset.say).join(" "), region = one("#c-spoken");
    clearTimeout(speaking);
    if (!region || words === spoken) return;
    if (Date.now() < next) { speaking = setTimeout(speak, next - Date.now()); return; }
    region.textContent = spoken = words;
    next = Date.now() + SPEAK_EVERY;
  };

  // ---- Keys: none is needed. One letter presses what carries it as data-key; j and k walk through a list. ----
  let first = "", firstAt = 0;
  const walk = (list, step) => {
    const rows = all("[data-row]", list), at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[Math.max(0, Math.min(rows.length - 1, at + step))], stop = row && one("a[href], button, input, summary", row);
    if (stop) stop.focus();
  };
  const press = (key) => {
    const list = document.activeElement.closest("[data-list]") || one("[data-list]");
    const row = document.activeElement.closest("[data-row]");
    if (list && (key === "j" || key === "k")) { walk(list, key === "j" ? 1 : -1); return true; }
    const name = CSS.escape(Date.now() - firstAt < KEY_PAIR ? first + " " + key : key);
    const found = (row && one(`[data-key="${name}"]`, row)) || one(`[data-key="${name}"]:not([data-row] *)`);
    [first, firstAt] = [key, found ? 0 : Date.now()];
    if (found && found.matches("input, textarea, select")) found.focus();
    else if (found && found.tagName === "DIALOG") found.showModal();
    else if (found) found.click();
    return Boolean(found);
  };
  on("keydown", (event) => {
    const target = event.target, typing = target.closest && target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog");
    if (event.key === "Escape") all("details.drop[open]").forEach((drop) => { drop.open = false; one("summary", drop).focus(); });
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
    if (press(event.key)) event.preventDefault();
  });

  // ---- Small things: a menu closes by a press beside it, folds open, all ticks at once, print, close, try again. ----
  on("click", (event) => {
    all("details.drop[open]").forEach((drop) => { if (!drop.contains(event.target)) drop.open = false; });
    const act = event.target.closest("[data-do]"), what = act && act.dataset.do;
    if (what === "print") window.print();
    if (what === "close") act.closest("dialog").close();
    if (what === "jump") {
      const area = one(`#${act.dataset.field}`), place = Number(act.dataset.at);
      area.focus();
      area.setSelectionRange(place - 1, place);
    }
    const aim = event.target.closest('a[href^="#f-"]'), field = aim && document.getElementById(aim.hash.slice(1)), fold = field && field.closest("details");
    if (fold) fold.open = true; // older browsers do not open it by themselves
    if (what === "keys") one("#c-keys").showModal();
    if (what === "again" && lost) again(lost);
    if (what === "restart") Array.from(waiting.keys()).forEach((ctx) => { ctx.request.abort(); again(ctx); });
  });
  on("change", (event) => {
    const name = event.target.dataset.all, chosen = `${event.target.name}=${event.target.value}`;
    all("details[data-when]").forEach((fold) => { if (fold.dataset.when.split(" ").includes(chosen)) fold.open = true; });
    if (name) all(`input[name="${CSS.escape(name)}"]:not(:disabled)`).forEach((box) => { box.checked = event.target.checked; });
  });
  settle(document);
})();
