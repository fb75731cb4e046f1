// The list of sessions and the form for a new one.

import { call, get, post, sessionPath, uuid } from "./api.js";
import { reasonText, showAgent, showAgo, showPhase, stoppable, titleOf } from "./badges.js";
import { confirmDelete, confirmStop, whileBusy } from "./dialog.js";
import { $, h, markNav, setText } from "./dom.js";
import { said, t } from "./i18n.js";
import { fillModels, listModels, opensModels } from "./models.js";

/** @typedef {import("./badges.js").SessionBody} SessionBody */

const LIMIT = 100;
const EVERY = 5000;
const list = /** @type {HTMLUListElement} */ ($("sessions"));
/** @type {Map<string, Row>} */
const rows = new Map();
/** @type {(number | undefined)[]} the pages up to this one, as the server numbers them */
const path = [undefined];
/** @type {number | undefined} */
let nextPage;
let asked = 0;

/** A row keeps its elements over refreshes, so that focus and dialogs stay. */
class Row {
  /** @param {SessionBody} session */
  constructor(session) {
    this.session = session;
    this.link = h("a", { href: `/sessions/${session.id}` });
    this.phase = h("span", { className: "badge" });
    this.agent = h("span", { className: "badge soft" });
    this.created = h("time");
    this.updated = h("time");
    this.clients = h("span");
    this.fault = h("div", { className: "fault-line" });
    this.reason = h("div", { className: "facts" });
    this.stop = h("button", { type: "button", data: { act: "stop" }, on: { click: () => this.#stop() } }, t("action.stop"));
    this.remove = h("button", { type: "button", className: "danger", data: { act: "delete" }, on: { click: () => this.#delete() } }, t("action.delete"));
    this.element = h("li", { data: { session: session.id } },
      h("div", { className: "what" }, this.link, h("div", { className: "facts" }, this.created, this.updated, this.clients), this.reason, this.fault),
      h("div", { className: "marks" }, this.phase, this.agent),
      h("div", { className: "does" }, this.stop, this.remove));
    this.show(session);
  }

  /** @param {SessionBody} session */
  show(session) {
    this.session = session;
    const title = titleOf(session.title);
    setText(this.link, title);
    this.link.title = title;
    showPhase(this.phase, session);
    showAgent(this.agent, session.agent_state);
    showAgo(this.created, session.created_at, "sessions.created");
    showAgo(this.updated, session.updated_at, "sessions.updated");
    setText(this.clients, t("sessions.clients", { count: session.clients }));
    setText(this.fault, session.fault?.cause ?? "");
    this.fault.hidden = !session.fault;
    setText(this.reason, reasonText(session));
    this.reason.hidden = !session.reason;
    this.stop.hidden = !stoppable(session.phase);
    this.stop.setAttribute("aria-label", t("sessions.stop_named", { title }));
    this.remove.setAttribute("aria-label", t("sessions.delete_named", { title }));
  }

  async #stop() {
    if (!(await confirmStop(titleOf(this.session.title)))) return;
    await whileBusy(this.stop, () => post(`${sessionPath(this.session.id)}/stop`));
    await refresh();
  }

  async #delete() {
    if (!(await confirmDelete(titleOf(this.session.title), this.session.head))) return;
    await whileBusy(this.remove, () => call("DELETE", sessionPath(this.session.id)));
    const next = /** @type {HTMLElement | null} */ (this.element.nextElementSibling ?? this.element.previousElementSibling);
    await refresh();
    /** @type {HTMLElement} */ (next?.isConnected ? next.querySelector("a") : $("new-title"))?.focus();
  }
}

async function refresh() {
  const turn = ++asked;
  try {
    const page = path.at(-1);
    const answer = await get(`/api/sessions?limit=${LIMIT}${page === undefined ? "" : `&page=${page}`}`);
    if (turn !== asked) return;
    $("list-error").hidden = true;
    show(answer);
  } catch (error) {
    if (turn !== asked) return;
    const problem = /** @type {import("./api.js").Problem} */ (error);
    if (problem.status === 401) return location.assign("/login");
    setText($("list-error"), t("sessions.stale", { reason: problem.message }));
    $("list-error").hidden = false;
  } finally {
    list.removeAttribute("aria-busy");
  }
}

/** @param {{ sessions: SessionBody[], total: number, next_page?: number }} answer */
function show({ sessions, total, next_page }) {
  if (!sessions.length && path.length > 1) {
    path.pop();
    return void refresh();
  }
  const ids = new Set(sessions.map((s) => s.id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  sessions.forEach((session, index) => {
    let row = rows.get(session.id);
    if (row) row.show(session);
    else rows.set(session.id, (row = new Row(session)));
    if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
  });
  $("empty").hidden = total > 0 || sessions.length > 0;
  setText($("count"), total ? t("sessions.count", { count: total }) : "");
  $("pages").hidden = path.length === 1 && next_page === undefined;
  $("prev").disabled = path.length === 1;
  nextPage = next_page;
  $("next").disabled = next_page === undefined;
  setText($("page-number"), t("sessions.page", { page: path.length }));
}

/** "name=value" by lines. @param {string} text @returns {Record<string, string>} */
function labelsOf(text) {
  /** @type {Record<string, string>} */
  const labels = {};
  for (const line of text.split("\n").map((l) => l.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(t("sessions.labels_bad", { line }));
    labels[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return labels;
}

let key = uuid(); // a second click or a retry makes no second session
async function create() {
  const button = /** @type {HTMLButtonElement} */ ($("new-submit"));
  if (button.disabled) return;
  $("new-error").hidden = true;
  button.disabled = true;
  setText(button, t("sessions.creating"));
  try {
    const labels = labelsOf($("new-labels").value);
    const title = $("new-title").value.trim();
    const first_message = $("new-message").value.trim();
    /** @type {Record<string, unknown>} */
    const body = { title, first_message, repository: $("new-repository").value.trim(), branch: $("new-branch").value.trim(), git_token: $("new-git-token").value.trim(), model: $("new-model").value };
    for (const [name, value] of Object.entries(body)) if (!value) delete body[name];
    if (Object.keys(labels).length) body.labels = labels;
    const made = await post("/api/sessions", body, { "Idempotency-Key": key });
    key = uuid();
    location.assign(`/sessions/${made.id}`);
  } catch (error) {
    const problem = /** @type {any} */ (error);
    if (problem.status) key = uuid(); // refused: another attempt is another request
    setText($("new-error"), problem.message);
    $("new-error").hidden = false;
    button.disabled = false;
    setText(button, t("sessions.create"));
  }
}

async function showIsolation() {
  try {
    const { engine } = await get("/health");
    const tier = engine?.isolation?.tier;
    if (tier === undefined) return;
    setText($("isolation"), t("sessions.isolation", { engine: engine.kind, tier: String(tier) }));
    $("isolation").title = (engine.isolation.exposes ?? []).map(said).join("\n");
  } catch { /* the footer stays without it */ }
}

async function showModelChoice() {
  const select = /** @type {HTMLSelectElement} */ ($("new-model"));
  try {
    const { models, default: usual } = await listModels();
    fillModels(select, models, select.value, usual ? t("sessions.model_default", { name: usual }) : t("sessions.model_none"));
  } catch { // the server's own choice holds
    fillModels(select, [], "", t("sessions.model_unknown"));
    setTimeout(showModelChoice, EVERY);
  }
}

markNav("sessions");
opensModels($("models"), showModelChoice);
showModelChoice();
$("new-session").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  create();
});
$("new-message").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) create();
});
$("prev").addEventListener("click", () => { path.pop(); refresh(); });
$("next").addEventListener("click", () => { path.push(nextPage); refresh(); });
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("pageshow", (event) => event.persisted && location.reload());
setInterval(() => document.hidden || refresh(), EVERY);
refresh();
showIsolation();
