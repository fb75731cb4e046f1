// The operator's page: every session, what it costs and why it failed; drain, reconcile, configuration.

import { call, get, post, sessionPath } from "./api.js";
import { countText, reasonText, showAgent, showAgo, showPhase, stoppable, titleOf } from "./badges.js";
import { complain, confirmDelete, confirmLoss, confirmStop, notice, whileBusy } from "./dialog.js";
import { $, h, markNav, setText } from "./dom.js";
import { bytes, dateTime, duration, lang, number, parseTime, said, t, word } from "./i18n.js";

/** @typedef {import("./badges.js").SessionBody} SessionBody */

const LIMIT = 50;
const EVERY = 5000;
const query = { q: "", phase: "", sort: "created_at", order: "desc" };
/** @type {(number | undefined)[]} the pages up to this one, as the server numbers them */
let path = [undefined];
/** @type {number | undefined} */
let nextPage;
/** @type {Map<string, ReturnType<typeof makeRow>>} */
const rows = new Map();
const drawer = /** @type {HTMLDialogElement} */ ($("drawer"));
let asked = 0;
let shown = "";

/** @param {SessionBody} first */
function makeRow(first) {
  let session = first;
  const name = h("button", { type: "button", on: { click: () => openDrawer(session) } });
  const phase = h("span", { className: "badge" });
  const agent = h("span", { className: "badge soft" });
  const owner = h("td", {});
  const created = h("time");
  const updated = h("time");
  const clients = h("td", { className: "num" });
  const events = h("td", { className: "num" });
  const stop = h("button", { type: "button", data: { act: "stop" } }, t("action.stop"));
  const remove = h("button", { type: "button", className: "danger", data: { act: "delete" } }, t("action.delete"));
  stop.addEventListener("click", async () => {
    if (await confirmStop(titleOf(session.title))) await whileBusy(stop, () => post(`${sessionPath(session.id)}/stop`));
    await refresh();
  });
  remove.addEventListener("click", async () => {
    if (await confirmDelete(titleOf(session.title), session.head)) await whileBusy(remove, () => call("DELETE", sessionPath(session.id)));
    await refresh();
  });
  const does = h("div", { className: "does" }, h("a", { className: "button", href: `/sessions/${session.id}` }, t("admin.open")), stop, remove);
  const element = h("tr", { data: { session: session.id } }, h("td", { className: "name" }, name), h("td", {}, phase), h("td", {}, agent), owner,
    h("td", {}, created), h("td", {}, updated), clients, events, h("td", {}, does));
  return {
    element,
    /** @param {SessionBody} now */
    show(now) {
      session = now;
      const title = titleOf(now.title);
      setText(name, title);
      name.title = t("admin.details", { title });
      showPhase(phase, now);
      phase.title = now.fault?.cause ?? reasonText(now);
      showAgent(agent, now.agent_state);
      setText(agent, word("agent", now.agent_state));
      setText(owner, now.owner);
      showAgo(created, now.created_at);
      showAgo(updated, now.updated_at);
      setText(clients, number(now.clients));
      setText(events, number(now.head + 1));
      stop.disabled = !stoppable(now.phase);
      stop.setAttribute("aria-label", t("sessions.stop_named", { title }));
      remove.setAttribute("aria-label", t("sessions.delete_named", { title }));
    },
  };
}

async function refresh() {
  const turn = ++asked;
  const asking = new URLSearchParams({ sort: query.sort, order: query.order, limit: String(LIMIT) });
  const page = path.at(-1);
  if (page !== undefined) asking.set("page", String(page));
  if (query.q) asking.set("q", query.q);
  if (query.phase) asking.set("phase", query.phase);
  try {
    const answer = await get(`/api/admin/sessions?${asking}`);
    if (turn !== asked) return;
    $("list-error").hidden = true;
    showList(answer);
  } catch (error) {
    if (turn !== asked) return;
    setText($("list-error"), t("sessions.stale", { reason: /** @type {Error} */ (error).message }));
    $("list-error").hidden = false;
  } finally {
    $("rows").removeAttribute("aria-busy");
  }
  await showStarts();
  if (drawer.open && shown) await fillDrawer(shown);
}

/** @param {{ sessions: SessionBody[], total: number, next_page?: number }} answer */
function showList({ sessions, total, next_page }) {
  if (!sessions.length && path.length > 1) {
    path = [undefined];
    return void refresh();
  }
  const body = /** @type {HTMLElement} */ ($("rows"));
  const ids = new Set(sessions.map((s) => s.id));
  for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
  for (const element of [...body.children]) if (!ids.has(/** @type {HTMLElement} */ (element).dataset.session ?? "")) element.remove();
  sessions.forEach((session, index) => {
    const row = rows.get(session.id) ?? makeRow(session);
    rows.set(session.id, row);
    row.show(session);
    if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
  });
  if (!sessions.length) body.append(h("tr", {}, h("td", { colSpan: 9, className: "muted" }, t("admin.none"))));
  const from = (path.length - 1) * LIMIT + 1;
  setText($("page-number"), sessions.length ? t("admin.range", { from, to: from + sessions.length - 1, total }) : "");
  $("prev").disabled = path.length === 1;
  nextPage = next_page;
  $("next").disabled = next_page === undefined;
  for (const head of document.querySelectorAll("th[data-sort]")) {
    const active = /** @type {HTMLElement} */ (head).dataset.sort === query.sort;
    if (active) head.setAttribute("aria-sort", query.order === "asc" ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
}

/** @param {[string, import("./dom.js").Child][]} pairs */
const facts = (pairs) => h("dl", { className: "facts-list" }, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** @param {string[]} heads @param {string[][]} lines */
const table = (heads, lines) => h("div", { className: "table-wrap", tabIndex: 0 }, h("table", { className: "table" },
  h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
  h("tbody", {}, ...lines.map((line) => h("tr", {}, ...line.map((cell) => h("td", {}, cell)))))));

/** @param {string} title @param {...import("./dom.js").Child} body */
const part = (title, ...body) => h("section", {}, h("h3", {}, title), ...body);

/** @param {SessionBody} session */
async function openDrawer(session) {
  shown = session.id;
  setText($("drawer-title"), titleOf(session.title));
  $("drawer-body").replaceChildren(h("p", { className: "muted" }, t("admin.loading")));
  drawer.showModal();
  await fillDrawer(session.id);
}

/** @param {string} id */
async function fillDrawer(id) {
  let detail;
  try {
    detail = await get(`/api/admin/sessions/${id}`);
  } catch (error) {
    if (shown === id) $("drawer-body").replaceChildren(h("p", { className: "alert bad" }, /** @type {Error} */ (error).message));
    return;
  }
  if (shown !== id) return;
  const { fault, progress, sandbox, stats, connected = [], start_steps = [], labels = {} } = detail;
  const badge = h("span", { className: "badge" });
  showPhase(badge, detail);
  const general = facts([
    [t("admin.id"), h("code", {}, detail.id)], [t("session.phase"), h("span", {}, badge, detail.reason ? ` ${reasonText(detail)}` : null)], [t("session.agent_state"), word("agent", detail.agent_state)],
    ...(progress ? [/** @type {[string, import("./dom.js").Child]} */ ([t("admin.progress"), h("span", {}, h("code", {}, progress.image), h("br"), [countText(detail.step, progress), progress.text].filter(Boolean).join(" · "))])] : []),
    [t("admin.col_owner"), detail.owner], [t("admin.col_created"), dateTime(parseTime(detail.created_at))], [t("admin.col_updated"), dateTime(parseTime(detail.updated_at))],
    [t("admin.col_events"), number(detail.head + 1)], [t("admin.restarts"), number(detail.restarts)],
    ...(Object.keys(labels).length ? [/** @type {[string, string]} */ ([t("admin.labels"), Object.entries(labels).map(([k, v]) => `${k}=${v}`).join(", ")])] : []),
  ]);
  const log = fault?.log_tail?.length ? h("pre", { tabIndex: 0 }, fault.log_tail.join("\n")) : null;
  $("drawer-body").replaceChildren(general,
    ...(fault ? [part(t("admin.fault_title"), h("div", { className: "alert bad" }, h("strong", {}, fault.cause), h("p", {}, `${t("fault.remedy")} ${said(fault.remedy)}`), h("code", {}, fault.code)), log)] : []),
    part(t("admin.steps_title"), start_steps.length
      ? table([t("admin.step_name"), t("admin.step_began"), t("admin.step_took")], start_steps.map((/** @type {any} */ s) => [word("step", s.step), duration(s.began_ms), s.took_ms === undefined ? t("admin.step_open") : duration(s.took_ms)]))
      : h("p", { className: "muted" }, t("admin.steps_none"))),
    part(t("admin.sandbox_title"), sandbox
      ? facts([[t("admin.sandbox_engine"), sandbox.engine], [t("admin.sandbox_id"), h("code", {}, sandbox.id)], [t("admin.sandbox_generation"), number(sandbox.generation)], [t("admin.sandbox_epoch"), h("code", {}, sandbox.epoch)]])
      : h("p", { className: "muted" }, t("admin.sandbox_none"))),
    ...(stats !== undefined ? [part(t("admin.stats_title"), stats ? facts(figures(id, stats, sandbox?.engine)) : h("p", { className: "muted" }, t("admin.stats_none")))] : []),
    part(t("admin.clients_title"), connected.length
      ? table([t("admin.client_peer"), t("admin.client_role"), t("admin.client_cursor"), t("admin.client_lag"), t("admin.client_since")], connected.map((/** @type {any} */ c) => [c.peer, word("role", c.role), number(c.cursor), number(c.lag), duration(c.connected_for * 1000)]))
      : h("p", { className: "muted" }, t("admin.clients_none"))));
}

/** What was used when the figures were last asked for. @type {{ id: string, at: number, cpu: number }} */
let before = { id: "", at: 0, cpu: 0 };

/** @param {string} id @param {any} stats @param {string} [engine] @returns {[string, string][]} */
function figures(id, stats, engine) {
  const now = { id, at: Date.now(), cpu: stats.cpu_seconds };
  const past = now.at - before.at;
  const share = before.id === id && past > 1000 && now.cpu >= before.cpu ? ((now.cpu - before.cpu) * 1000) / past : undefined;
  if (before.id !== id || past > 1000) before = now;
  const total = duration(stats.cpu_seconds * 1000);
  const percent = new Intl.NumberFormat(lang, { style: "percent" });
  return [
    [t("admin.stats_cpu"), share === undefined ? total : t("admin.stats_cpu_now", { total, percent: percent.format(share) })],
    [t("admin.stats_memory"), stats.memory_limit ? t("admin.stats_memory_of", { used: bytes(stats.memory_bytes), limit: bytes(stats.memory_limit) }) : bytes(stats.memory_bytes)],
    [t("admin.stats_processes"), number(stats.processes)],
    // The local engine counts neither.
    ...(engine === "local" ? [] : /** @type {[string, string][]} */ ([
      [t("admin.stats_network"), t("admin.stats_network_both", { rx: bytes(stats.network_rx), tx: bytes(stats.network_tx) })],
      [t("admin.stats_disk"), bytes(stats.disk_bytes)],
    ])),
  ];
}

/** The engine as it said at its start, and what waits for it now. @type {any} */
let engineNow;
async function showStarts() {
  try {
    engineNow = await get("/api/admin/engine");
    const { waiting, starting, ready } = engineNow;
    setText($("starts"), t("admin.starts", { waiting, starting, ready }));
  } catch { /* the list says already that the server doesn't answer */ }
}

/** A fact's value in words. @param {string} value */
const factValue = (value) => word("fact_value", value) || "–";

async function showHealth() {
  try {
    const { status, engine } = await get("/health");
    setText($("health"), word("health", status));
    $("health").className = `badge ${status === "ok" ? "ok" : "busy"}`;
    const { tier = "?", protects = [], exposes = [] } = engine?.isolation ?? {};
    const column = (/** @type {string} */ kind, /** @type {string[]} */ lines) => h("div", { className: kind }, h("h3", {}, t(`admin.${kind}`)),
      lines.length ? h("ul", {}, ...lines.map((line) => h("li", {}, said(line)))) : h("p", { className: "muted" }, t("admin.nothing")));
    const known = engineNow ?? (await get("/api/admin/engine"));
    const yes = (/** @type {boolean} */ is) => (is ? "yes" : "no");
    const all = [...known.facts, { name: "pause", value: yes(known.pause) }, { name: "pool", value: yes(known.pool) }];
    const list = h("dl", { className: "engine-facts" }, ...all.map(({ name, value }) => h("div", {}, h("dt", {}, word("fact", name.replaceAll(" ", "_"))), h("dd", {}, factValue(value)))));
    const lacks = known.lacks.length ? [h("div", { className: "alert warn" }, h("h3", {}, t("admin.lacks_title")), h("ul", {}, ...known.lacks.map((/** @type {string} */ line) => h("li", {}, said(line)))))] : [];
    $("engine").replaceChildren(h("p", {}, t("sessions.isolation", { engine: engine?.kind ?? "?", tier: String(tier) })), list, ...lacks, h("div", { className: "cols" }, column("protects", protects), column("exposes", exposes)));
  } catch (error) {
    $("engine").replaceChildren(h("p", { className: "alert bad" }, /** @type {Error} */ (error).message));
  }
}

markNav("admin");
$("reconcile").addEventListener("click", () => whileBusy($("reconcile"), async () => {
  const result = await post("/api/admin/reconcile");
  const words = result && typeof result === "object" ? Object.entries(result).map(([k, v]) => `${k} ${Array.isArray(v) ? v.length : typeof v === "object" ? JSON.stringify(v) : v}`).join(", ") : "";
  notice(words ? t("admin.reconciled", { result: words }) : t("admin.reconciled_clean"));
  await refresh();
}));
$("drain").addEventListener("click", async () => {
  if (!(await confirmLoss(t("confirm.drain_title"), [t("confirm.drain_text")], t("admin.drain")))) return;
  await whileBusy($("drain"), () => post("/api/admin/drain"));
  notice(t("admin.draining"));
  await showHealth();
});
$("config").addEventListener("toggle", async () => {
  if (!$("config").open) return;
  try {
    setText($("config-text"), (await get("/api/admin/config")).config);
  } catch (error) {
    complain(error);
  }
});
/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
$("q").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    query.q = $("q").value.trim();
    path = [undefined];
    refresh();
  }, 250);
});
$("filter").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
$("filter-phase").addEventListener("change", () => {
  query.phase = $("filter-phase").value;
  path = [undefined];
  refresh();
});
for (const head of document.querySelectorAll("th[data-sort]")) {
  head.querySelector("button")?.addEventListener("click", () => {
    const sort = /** @type {HTMLElement} */ (head).dataset.sort ?? "";
    query.order = query.sort === sort && query.order === "asc" ? "desc" : "asc";
    query.sort = sort;
    path = [undefined];
    refresh();
  });
}
$("prev").addEventListener("click", () => { path.pop(); refresh(); });
$("next").addEventListener("click", () => { path.push(nextPage); refresh(); });
$("drawer-close").addEventListener("click", () => drawer.close());
drawer.addEventListener("close", () => { shown = ""; });
drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), EVERY);
refresh();
showHealth();
