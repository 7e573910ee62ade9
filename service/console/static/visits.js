// Results ticked at the door, of people and of households: each press is kept in the browser before it is sent, and sent again until the server has it. A result
// has a key of its own, so it is written once however often it is sent. Without this script each button sends its form.
"use strict";
(() => {
  const AGAIN = 15000, HOURS = 8;
  const list = document.querySelector("[data-visits]");
  if (!list) return;
  const prefix = `visit.${list.dataset.visits}.`;
  const ahead = Number(list.dataset.now) * 1000 - Date.now(); // the phone's clock may be wrong
  const today = () => new Date(Date.now() + ahead + HOURS * 3600000).toISOString().slice(0, 10);
  const newKey = () => {
    const octets = crypto.getRandomValues(new Uint8Array(16));
    octets[6] = (octets[6] & 15) | 64;
    octets[8] = (octets[8] & 63) | 128;
    const digits = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  };
  const kept = () => Object.keys(localStorage).filter((name) => name.startsWith(prefix)).sort();
  const row = (visit) => list.querySelector(`[data-visit="${CSS.escape(visit)}"]`);
  const say = (visit, words, tone) => {
    const part = row(visit) && row(visit).querySelector("[data-visit-state-of]");
    if (part) { part.textContent = words; part.dataset.tone = tone; }
  };
  const count = () => {
    const box = document.querySelector("[data-visits-kept]"), names = kept();
    box.hidden = !names.length;
    box.querySelector("[data-visits-count]").textContent = String(names.length);
    return names;
  };
  const done = (visit, state) => {
    const part = row(visit);
    if (part && !("visitNew" in part.dataset)) part.classList.toggle("visit-over", state !== "open");
  };

  let timer = 0, sending = false;
  const send = async () => {
    if (sending) return;
    sending = true;
    clearTimeout(timer);
    for (const name of kept()) {
      const entry = JSON.parse(localStorage.getItem(name));
      const path = entry.path || `/visits/${entry.visit}/result`; // of an entry that an earlier page kept
      const body = new URLSearchParams({ ...entry.fields, csrf: document.querySelector('meta[name="csrf"]').content, _key: entry.fields.key });
      let text = "", status = 0;
      try {
        const answer = await fetch(path, { method: "POST", body, headers: { "HX-Request": "true" } });
        [status, text] = [answer.status, await answer.text()];
      } catch { break; } // no network: all wait
      const part = new DOMParser().parseFromString(text, "text/html").querySelector("[data-visit-written], [data-visit-refused]");
      if (!part) { // a session that is over, a busy server: it is kept
        if (status === 401 || status === 403) say(entry.visit, list.dataset.login, "warn");
        break;
      }
      localStorage.removeItem(name);
      say(entry.visit, part.textContent, "visitWritten" in part.dataset ? "done" : "bad");
      done(entry.visit, part.dataset.visitWritten || "open");
    }
    sending = false;
    if (count().length) timer = setTimeout(send, AGAIN);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target, press = event.submitter;
    if (!form.matches("[data-visit-form]") || !press || !press.value) return;
    const visit = form.closest("[data-visit]").dataset.visit;
    const fields = { ...Object.fromEntries(new FormData(form)), result: press.value, on: today() };
    delete fields.csrf;
    const path = new URL(form.action).pathname;
    try {
      localStorage.setItem(prefix + Date.now() + "." + fields.key, JSON.stringify({ visit, path, fields }));
    } catch { return; } // the browser keeps nothing: the form is sent as it is
    event.preventDefault();
    form.reset();
    form.elements.key.value = newKey();
    say(visit, list.dataset.kept, "warn");
    if (fields.result !== "not_home") done(visit, fields.result);
    count();
    send();
  });
  window.addEventListener("online", send);
  for (const name of count()) say(JSON.parse(localStorage.getItem(name)).visit, list.dataset.kept, "warn");
  send();
})();
