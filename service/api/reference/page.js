// The reference, drawn from openapi.json. Texts are only ever set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
let whole = null;

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

// A sentence whose words in backticks are code.
function prose(text) {
  const pieces = text.split("`");
  return make("span", {}, ...pieces.map((piece, n) => (n % 2 ? make("code", {}, piece) : piece)));
}

function resolved(schema) {
  while (schema.$ref) schema = whole.components.schemas[schema.$ref.split("/").pop()];
  return schema;
}

function named(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(named).join(" or ");
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return "list of " + named(schema.items || {});
  if (schema.type === "object" && schema.additionalProperties)
    return "map of " + named(schema.additionalProperties);
  return (schema.type || "anything") + (schema.format ? ` (${schema.format})` : "");
}

function limits(schema) {
  const said = [];
  const words = {minimum: "from", maximum: "to", minLength: "characters from", maxLength: "characters to",
    minItems: "items from", maxItems: "items to", pattern: "pattern"};
  for (const [name, word] of Object.entries(words))
    if (name in schema) said.push(`${word} ${schema[name]}`);
  if ("default" in schema && typeof schema.default !== "object") said.push("default " + JSON.stringify(schema.default));
  return said.join(", ");
}

// What a schema has inside is drawn when it is opened, so that models may hold one another.
function inner(schema) {
  const all = schema.anyOf || [schema.items || schema.additionalProperties || schema];
  return all.map((one) => resolved(one.items || one)).find((one) => one && one.properties) || null;
}

function members(schema) {
  const list = make("ul", {class: "members"});
  for (const [name, member] of Object.entries(schema.properties || {})) {
    const needed = (schema.required || []).includes(name);
    const line = make("span", {}, make("code", {class: needed ? "needed" : ""}, name), " ",
      make("small", {}, [named(member), limits(member)].filter(Boolean).join("; ")),
      member.description ? " — " : "", prose(member.description || ""));
    const within = inner(member);
    if (within === null) { list.append(make("li", {}, line)); continue; }
    const box = make("details", {}, make("summary", {}, line));
    box.addEventListener("toggle", () => {
      if (box.open && box.childElementCount === 1) box.append(members(within));
    });
    list.append(make("li", {}, box));
  }
  return list;
}

function shape(schema) {
  const found = resolved(schema);
  const within = found.properties ? found : inner(found);
  return make("div", {}, found.description ? make("p", {}, prose(found.description)) : null,
    within ? members(within) : make("code", {}, named(found)));
}

function responses(operation) {
  const table = make("table");
  for (const [status, answer] of Object.entries(operation.responses)) {
    const content = Object.values(answer.content || {})[0];
    const box = make("details", {}, make("summary", {}, answer.description));
    if (content) box.addEventListener("toggle", () => {
      if (box.open && box.childElementCount === 1)
        box.append(make("pre", {}, example(content)), shape(content.schema));
    });
    table.append(make("tr", {}, make("th", {}, status), make("td", {}, content ? box : answer.description)));
  }
  return table;
}

function example(content) {
  let first = "example" in content ? {value: content.example} : Object.values(content.examples || {})[0];
  if (first && first.$ref) first = whole.components.examples[first.$ref.split("/").pop()];
  return first ? JSON.stringify(first.value, null, 2) : "{}";
}

function trial(method, path, operation) {
  const box = make("div");
  const inputs = [];
  const table = make("table");
  for (const parameter of operation.parameters || []) {
    const input = make("input", {"aria-label": parameter.name});
    inputs.push([parameter, input]);
    table.append(make("tr", {}, make("th", {}, make("code", {class: parameter.required ? "needed" : ""}, parameter.name)),
      make("td", {}, parameter.in), make("td", {}, named(parameter.schema), " ", limits(parameter.schema)),
      make("td", {}, prose(parameter.description || "")), make("td", {}, input)));
  }
  if (inputs.length) box.append(make("h3", {}, "Parameters"), table);
  const content = operation.requestBody ? operation.requestBody.content : {};
  let body = null;
  if (content["application/json"]) {
    body = make("textarea", {rows: "8", "aria-label": "body"});
    body.value = example(content["application/json"]);
    box.append(make("h3", {}, "Body"), shape(content["application/json"].schema), body);
  } else if (content["multipart/form-data"]) {
    box.append(make("h3", {}, "Form (send a file with curl -F or a client)"), shape(content["multipart/form-data"].schema));
    return box;
  }
  const send = make("button", {type: "button"}, "Send");
  const output = make("pre", {hidden: ""});
  send.addEventListener("click", () => ask(method, path, inputs, body, output));
  box.append(make("p", {}, send), output);
  return box;
}

async function ask(method, path, inputs, body, output) {
  const headers = {};
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value && parameter.in === "query") query.set(parameter.name, input.value);
    else if (input.value) headers[parameter.name] = input.value;
  }
  const key = document.getElementById("key").value.trim();
  if (key) headers.Authorization = "Bearer " + key;
  const options = {method, headers, credentials: "omit", cache: "no-store"};
  if (body) { headers["Content-Type"] = "application/json"; options.body = body.value; }
  output.hidden = false;
  output.textContent = "…";
  try {
    const asked = query.toString();
    const answer = await fetch(path + (asked ? "?" + asked : ""), options);
    let text = await answer.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* a file */ }
    output.textContent = `${answer.status} ${answer.statusText}\n\n${text}`;
  } catch (error) {
    output.textContent = "No answer: " + error.message;
  }
}

function operationBox(method, path, operation) {
  const box = make("details", {class: "op", id: operation.operationId},
    make("summary", {}, make("span", {class: "method " + method.toUpperCase()}, method.toUpperCase()),
      make("code", {}, path.replace("/api/v1", "")), make("span", {class: "sentence"}, operation.summary)));
  box.addEventListener("toggle", () => {
    if (!box.open || box.childElementCount > 1) return;
    box.append(make("div", {class: "inside"}, make("p", {}, operation.description || ""),
      trial(method.toUpperCase(), path, operation), make("h3", {}, "Answers"), responses(operation)));
  });
  box.dataset.words = [method, path, operation.operationId, operation.summary].join(" ").toLowerCase();
  return box;
}

function draw() {
  document.getElementById("version").textContent = whole.info.version;
  const main = document.getElementById("main");
  const nav = document.getElementById("tags");
  main.replaceChildren(make("p", {}, prose(whole.info.description)));
  for (const tag of whole.tags) {
    const section = make("section", {}, make("h2", {id: "tag-" + tag.name}, tag.name), make("p", {}, tag.description));
    for (const [path, item] of Object.entries(whole.paths))
      for (const method of METHODS)
        if (item[method] && item[method].tags.includes(tag.name))
          section.append(operationBox(method, path, item[method]));
    nav.append(make("a", {href: "#tag-" + tag.name}, tag.name));
    main.append(section);
  }
  filter();
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
}

// Words may stand in the field before there is anything to filter: typed early, or kept by the browser.
function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const box of document.querySelectorAll("details.op"))
    box.hidden = !words.every((word) => box.dataset.words.includes(word));
  for (const section of document.querySelectorAll("section"))
    section.hidden = !section.querySelector("details.op:not([hidden])");
}

document.getElementById("filter").addEventListener("input", filter);

fetch("v1/openapi.json").then((answer) => answer.json()).then((found) => { whole = found; draw(); })
  .catch((error) => { document.getElementById("main").textContent = "openapi.json: " + error.message; });
