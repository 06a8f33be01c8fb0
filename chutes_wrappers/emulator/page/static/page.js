"use strict";

const POLL_MS = 1000;
const MAX_LOG_LINES = 2000;
const chooser = document.getElementById("chute");
// The secret in the page's address, which other pages and programs do not know.
const access = { "X-Emulator-Page": location.hash.slice(1) };
let shownSlug = null;
let specification = null;

/** Read a selected file into the JSON object that callers send for a file. */
async function readFileObject(file) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return { filename: file.name, content_type: file.type || "application/octet-stream", data: url.slice(url.indexOf(",") + 1) };
}

/** Convert the text of a form field to the type in its schema. */
function parseFieldValue(text, schema) {
  if (schema && schema.type === "string") return text;
  try { return JSON.parse(text); } catch { return text; }
}

/** Convert a form with its files to a JSON object: the platform accepts nothing else. */
async function convertFormToJson(form, operation) {
  const schema = operation.requestBody.content["multipart/form-data"].schema;
  const body = {};
  for (const [name, value] of form.entries()) {
    const property = (schema.properties || {})[name];
    const item = value instanceof File ? await readFileObject(value) : parseFieldValue(value, property);
    if (property && property.type === "array" && !Array.isArray(item)) (body[name] ??= []).push(item);
    else body[name] = item;
  }
  return operation["x-bytes"] ? { data: body.data.data, content_type: body.data.content_type } : body;
}

/** Send a request to the emulator itself. Throws an error for an error status. */
async function fetchFromEmulator(path) {
  const response = await fetch(path, { headers: access });
  if (response.status === 403) document.getElementById("locked").hidden = false;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

async function prepareRequest(original) {
  const request = { ...original, headers: { ...original.headers, ...access } };
  if (!(request.body instanceof FormData)) return request;
  const path = new URL(request.url, location.href).pathname.slice(specification.servers[0].url.length);
  const body = await convertFormToJson(request.body, specification.paths[path][request.method.toLowerCase()]);
  return { ...request, body: JSON.stringify(body), headers: { ...request.headers, "Content-Type": "application/json" } };
}

/** Plays audio and video from the received response. Swagger UI would request its URL again: a second call, and a GET where a POST is needed. */
function blobPlayerPlugin({ React }) {
  const Sound = ({ kind, content }) => {
    const source = React.useMemo(() => URL.createObjectURL(content), [content]);
    return React.createElement(kind, { controls: true, src: source });
  };
  const responseBody = (Original) => (props) => {
    const kind = /^(audio|video)\//i.exec(props.contentType || "");
    if (!kind || !(props.content instanceof Blob)) return React.createElement(Original, props);
    return React.createElement(Sound, { kind: kind[1].toLowerCase(), content: props.content });
  };
  return { wrapComponents: { responseBody } };
}

async function showChute(slug) {
  shownSlug = slug;
  specification = await (await fetchFromEmulator(`/emulator/chutes/${slug}/openapi.json`)).json();
  SwaggerUIBundle({
    spec: structuredClone(specification),
    domNode: document.getElementById("routes"),
    requestInterceptor: prepareRequest,
    plugins: [blobPlayerPlugin],
    deepLinking: false,
    tryItOutEnabled: true,
    validatorUrl: null,
  });
}

function fillTable(table, rows) {
  const body = document.querySelector(`#${table} tbody`);
  body.replaceChildren(...rows.map(({ cells, bad, title }) => {
    const row = document.createElement("tr");
    row.className = bad ? "bad" : "";
    row.title = title;
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
}

/** Describe an instance's state: one that is disabled for a while gets no calls. */
function describeState(instance) {
  const until = (instance.disabled_until || 0) * 1000;
  return until > Date.now() ? `disabled until ${new Date(until).toLocaleTimeString()}` : instance.state;
}

function refresh(status) {
  const slugs = status.chutes.map((chute) => chute.slug);
  document.getElementById("empty").hidden = slugs.length > 0;
  if ([...chooser.options].map((option) => option.value).join() !== slugs.join()) {
    chooser.replaceChildren(...status.chutes.map((chute) => new Option(chute.name, chute.slug)));
    if (shownSlug) chooser.value = shownSlug;
  }
  if (slugs.length && !slugs.includes(shownSlug)) showChute(chooser.value = slugs[0]);
  const chute = status.chutes.find((each) => each.slug === shownSlug);
  fillTable("instances", (chute ? chute.instances : []).map((each) => ({
    bad: Boolean(each.last_failure) || each.state === "gone",
    title: each.instance_id,
    cells: [each.instance_id.slice(0, 8), describeState(each), each.running_calls, each.failures, each.ended_because || each.last_failure],
  })));
  fillTable("calls", status.calls.slice().reverse().map((call) => ({
    bad: Boolean(call.failure),
    title: `X-Chutes-InvocationID: ${call.invocation_id}`,
    cells: [new Date(call.started_at * 1000).toLocaleTimeString(), `${call.method} ${call.path}`, call.status, Math.round(call.duration_s * 1000), call.invocation_id.slice(0, 8), call.failure],
  })));
}

async function pollStatus() {
  try {
    refresh(await (await fetchFromEmulator("/emulator/status.json")).json());
  } catch {
    if (document.getElementById("locked").hidden) document.title = "The emulator has stopped";
  }
  setTimeout(pollStatus, POLL_MS);
}

/** Yield the data of each event of a stream. An EventSource would be simpler, but cannot send headers. */
async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (pending + value).split("\n\n");
    pending = whole.pop();
    for (const event of whole) yield event.replace(/^data: /, "");
  }
}

async function followLog() {
  const log = document.getElementById("log");
  const lines = [];
  try {
    for await (const event of readEvents(await fetchFromEmulator("/emulator/log"))) {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 5;
      lines.push(JSON.parse(event));
      lines.splice(0, lines.length - MAX_LOG_LINES);
      log.textContent = lines.join("\n");
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
  } catch {
    // pollStatus reports that the emulator has stopped. The log is requested again below.
  }
  setTimeout(followLog, POLL_MS);
}

window.addEventListener("hashchange", () => location.reload());
chooser.addEventListener("change", () => showChute(chooser.value));
pollStatus();
followLog();
