// Pictures of a report: one that is chosen, taken or pasted is sent at once; boxes are drawn over what is to be masked.
// Without this script the button sends the file, and boxes are typed. The words of a report are kept in this window while its
// pictures are looked at, until it is handed in; logging out forgets them.
"use strict";
(() => {
  const KEPT = "words.";
  const words = () => {
    for (const over of document.querySelectorAll("[data-handed-in]")) sessionStorage.removeItem(KEPT + over.dataset.handedIn);
    for (const field of document.querySelectorAll("[data-words]")) {
      const kept = sessionStorage.getItem(KEPT + field.dataset.words);
      if (kept) field.value = kept;
    }
  };
  words();
  if (document.documentElement.dataset.pictures) return; // a page that was swapped in brings it once more
  document.documentElement.dataset.pictures = "listens";
  document.addEventListener("htmx:after:swap", words);
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-words]")) sessionStorage.setItem(KEPT + event.target.dataset.words, event.target.value);
  });
  const NS = "http://www.w3.org/2000/svg", LEAST = 4;
  const field = () => document.querySelector("input[data-picture]");
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[data-picture]") && event.target.files.length) event.target.form.requestSubmit();
  });
  document.addEventListener("paste", (event) => {
    const input = field(), file = input && Array.from(event.clipboardData.files).find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    const held = new DataTransfer();
    held.items.add(file);
    input.files = held.files;
    input.form.requestSubmit();
  });

  let drawn = null, start = null, box = null;
  const surface = (picture) => {
    const found = picture.querySelector("svg");
    if (found) return found;
    const [width, height] = picture.dataset.masking.split(" ");
    const made = document.createElementNS(NS, "svg");
    made.setAttribute("viewBox", `0 0 ${width} ${height}`);
    made.setAttribute("aria-hidden", "true");
    picture.append(made);
    return made;
  };
  const place = (picture, event) => {
    const at = picture.getBoundingClientRect(), [width, height] = picture.dataset.masking.split(" ").map(Number);
    const inside = (value, most) => Math.max(0, Math.min(most, Math.round(value)));
    return [inside((event.clientX - at.left) * width / at.width, width), inside((event.clientY - at.top) * height / at.height, height)];
  };
  const told = () => {
    const list = document.querySelector("[data-boxes]"), all = document.querySelectorAll("[data-masking] rect");
    list.value = Array.from(all, (one) => ["x", "y", "width", "height"].map((name) => one.getAttribute(name)).join(" ")).join("\n");
  };
  document.addEventListener("pointerdown", (event) => {
    const picture = event.target.closest && event.target.closest("[data-masking]");
    if (!picture || event.button) return;
    event.preventDefault();
    if (event.target.tagName === "rect") { event.target.remove(); told(); return; } // a press on a box takes it away
    [drawn, start, box] = [picture, place(picture, event), document.createElementNS(NS, "rect")];
    surface(picture).append(box);
  });
  document.addEventListener("pointermove", (event) => {
    if (!drawn) return;
    const [x, y] = place(drawn, event), [left, top] = [Math.min(x, start[0]), Math.min(y, start[1])];
    const size = { x: left, y: top, width: Math.abs(x - start[0]), height: Math.abs(y - start[1]) };
    for (const [name, value] of Object.entries(size)) box.setAttribute(name, String(value));
  });
  const end = () => {
    if (!drawn) return;
    if (Number(box.getAttribute("width")) < LEAST || Number(box.getAttribute("height")) < LEAST) box.remove();
    drawn = null;
    told();
  };
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", end);
  document.addEventListener("dragstart", (event) => { if (event.target.closest && event.target.closest("[data-masking]")) event.preventDefault(); });
})();
