// The list of sessions: what waits for a person first, then what runs, then what rests.

import { get } from "./api.js";
import { $, h, markNav, setText } from "./dom.js";
import { explain } from "./first-run.js";
import { said, t, word } from "./i18n.js";
import { listModels, opensModels } from "./models.js";
import { NewSession } from "./new-session.js";
import { callBack, calls } from "./notify.js";
import { register } from "./palette.js";
import { GROUPS, Row, groupOf, wordsOf } from "./session-row.js";
import { mayCreate, mayWrite } from "./settings.js";

/** @typedef {import("./badges.js").SessionBody} SessionBody */

const LIMIT = 100;
/** Who searches, searches in all of them. */
const ALL = 500;
const MOST_PAGES = 20;
const EVERY = 5000;
/** Elsewhere the form and what one came to read don't fit beside each other. */
const WIDE = matchMedia("(min-width: 56rem)");
const list = /** @type {HTMLElement} */ ($("sessions"));
const search = /** @type {HTMLInputElement} */ ($("search"));
/** @type {Map<string, Row>} */
const rows = new Map();
/** @type {(number | undefined)[]} the pages up to this one, as the server numbers them */
const path = [undefined];
/** @type {number | undefined} */
let nextPage;
let asked = 0;
/** How many there are, before any search; −1 until it is known. */
let total = -1;
/** Agents' states as they were last seen. @type {Map<string, string>} */
const states = new Map();
/** @type {{ engine: any, models: any }} what a new person is told */
const facts = { engine: null, models: null };

const groups = new Map(GROUPS.map((name) => {
  const heading = h("h2", { id: `group-${name}` }, t(`sessions.group_${name}`));
  const count = h("span", { className: "muted" });
  const ul = h("ul", { className: "session-list", "aria-labelledby": `group-${name}` });
  const element = h("section", { data: { group: name }, hidden: true }, h("div", { className: "group-head" }, heading, count), ul);
  list.append(element);
  return [name, { element, count, ul }];
}));

const form = new NewSession();

/** The sessions of this page, or all of them where one searches. @returns {Promise<{ sessions: SessionBody[], total: number, next_page?: number }>} */
async function ask() {
  if (!search.value.trim()) {
    const page = path.at(-1);
    return get(`/api/sessions?limit=${LIMIT}${page === undefined ? "" : `&page=${page}`}`);
  }
  /** @type {SessionBody[]} */
  const sessions = [];
  /** @type {any} */
  let answer = { next_page: 0, total: 0 };
  for (let pages = 0; pages < MOST_PAGES && answer.next_page !== undefined; pages += 1) {
    answer = await get(`/api/sessions?limit=${ALL}&page=${answer.next_page}`);
    sessions.push(...answer.sessions);
  }
  return { sessions, total: answer.total };
}

async function refresh() {
  const turn = ++asked;
  try {
    const answer = await ask();
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
function show(answer) {
  const { sessions, next_page } = answer;
  if (!sessions.length && path.length > 1) {
    path.pop();
    return void refresh();
  }
  if (total < 0 && answer.total > 0 && !WIDE.matches) form.makeRoom();
  total = answer.total;
  const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found = sessions.filter((session) => words.every((one) => wordsOf(session).includes(one)));
  place(found);
  sessions.forEach(callFor);
  setText($("count"), !total ? "" : words.length ? t("sessions.found", { count: found.length, total }) : t("sessions.count", { count: total }));
  $("no-match").hidden = found.length > 0 || total === 0;
  $("tools").hidden = total === 0;
  $("pages").hidden = words.length > 0 || (path.length === 1 && next_page === undefined);
  $("prev").disabled = path.length === 1;
  nextPage = next_page;
  $("next").disabled = next_page === undefined;
  setText($("page-number"), t("sessions.page", { page: path.length }));
  showFirst();
}

/** Puts each session into its group, moving no more than must be: whoever is in a row stays there. @param {SessionBody[]} sessions */
function place(sessions) {
  const ids = new Set(sessions.map(({ id }) => id));
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.end();
    rows.delete(id);
  }
  const places = new Map(GROUPS.map((name) => [name, 0]));
  for (const session of sessions) {
    let row = rows.get(session.id);
    if (row) row.show(session);
    else rows.set(session.id, (row = new Row(session, { refresh, find, home })));
    const name = groupOf(session);
    const { ul } = /** @type {{ ul: HTMLUListElement }} */ (groups.get(name));
    const index = places.get(name) ?? 0;
    places.set(name, index + 1);
    if (ul.children[index] !== row.element) ul.insertBefore(row.element, ul.children[index] ?? null);
  }
  for (const [name, { element, count }] of groups) {
    const many = places.get(name) ?? 0;
    element.hidden = many === 0;
    setText(count, String(many));
  }
  if (focused?.isConnected && document.activeElement !== focused && list.contains(focused)) focused.focus();
}

/** An agent that begins to wait calls, from this page too. @param {SessionBody} session */
function callFor(session) {
  const before = states.get(session.id);
  states.set(session.id, session.agent_state);
  if (before !== undefined && before !== session.agent_state) callBack(session, session.agent_state);
}

/** What a new person is told, while there is no session. */
function showFirst() {
  const first = $("first");
  const shown = !first.hidden;
  first.hidden = total !== 0;
  if (total !== 0 || shown) return;
  explainAgain();
  if (mayCreate && WIDE.matches && document.activeElement === document.body) form.open();
}

function explainAgain() {
  if (total !== 0) return;
  explain($("first"), { ...facts, create: mayCreate, begin: () => form.open(), changed: learn });
}

/** What can be used here: for the explanation and the form. */
async function learn() {
  form.refresh();
  try {
    facts.models = await listModels();
  } catch { /* the form says so, and asks again */ }
  explainAgain();
}

async function showIsolation() {
  try {
    const { engine } = await get("/health");
    facts.engine = engine?.isolation ? engine : null;
    form.setImages(engine?.kind !== "local");
    const tier = engine?.isolation?.tier;
    if (tier === undefined) return;
    setText($("isolation"), t("sessions.isolation", { engine: engine.kind, tier: word("first.tiers", String(tier)) }));
    $("isolation").title = (engine.isolation.exposes ?? []).map(said).join("\n");
    explainAgain();
  } catch { /* the footer stays without it */ }
}

/** @param {string} query */
function find(query) {
  search.value = query;
  search.focus();
  refresh();
}

/** Where the focus goes when its row is gone. */
function home() {
  if (mayCreate) form.open();
  else search.focus();
}

/** Up and down through the rows. @param {KeyboardEvent} event */
function walk(event) {
  const at = /** @type {HTMLElement | null} */ (event.target)?.closest("[data-session]");
  if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
  const row = rows.get(/** @type {HTMLElement} */ (at).dataset.session ?? "");
  if (event.key === "F2") {
    event.preventDefault();
    return void row?.retitle();
  }
  if (event.key === "Delete") {
    event.preventDefault();
    return void row?.delete();
  }
  const links = /** @type {HTMLAnchorElement[]} */ ([...list.querySelectorAll("[data-session] a")]);
  const index = links.findIndex((link) => at.contains(link));
  const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0) search.focus();
  else links[to]?.focus();
}

const firstLink = () => /** @type {HTMLElement | null} */ (list.querySelector("[data-session] a"));

markNav("sessions");
$("new-session").hidden = $("models").hidden = !mayCreate;
$("key-rename").hidden = !mayWrite;
opensModels($("models"), learn);
search.addEventListener("input", () => {
  refresh();
});
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && search.value) find("");
  else if (event.key === "ArrowDown" && firstLink()) {
    event.preventDefault();
    firstLink()?.focus();
  }
});
list.addEventListener("keydown", walk);
$("prev").addEventListener("click", () => { path.pop(); refresh(); });
$("next").addEventListener("click", () => { path.push(nextPage); refresh(); });
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("pageshow", (event) => event.persisted && location.reload());
setInterval(() => (document.hidden && !calls()) || refresh(), EVERY);
if (mayCreate) register({ id: "new-session", group: t("palette.go"), title: t("sessions.new"), keys: "n", run: () => form.open() });
register({ id: "search-sessions", group: t("palette.page"), title: t("sessions.search"), keys: "/", when: () => total > 0, run: () => search.focus() });
register({ id: "first-session", group: t("palette.page"), title: t("sessions.to_list"), keys: "j", when: () => firstLink() !== null, run: () => firstLink()?.focus() });
const openAsked = () => location.hash === "#new" && mayCreate && form.open();
addEventListener("hashchange", openAsked);
openAsked();
refresh();
showIsolation();
learn();
