// One session whole, beside the list: how it is, why it failed, how it started, what it uses, who is joined, its log.

import { get, post, sessionPath } from "./api.js";
import { deleteSession } from "./delete.js";
import { countText, reasonText, showPhase, stoppable, titleOf } from "./badges.js";
import { confirmDelete, confirmStop, whileBusy } from "./dialog.js";
import { $, h, setText } from "./dom.js";
import { bytes, dateTime, duration, figures, number, parseTime, said, t, word } from "./i18n.js";
import { Log } from "./admin-log.js";
import { Part, facts, muted, table } from "./admin-parts.js";
import { startable } from "./admin-row.js";

/** @typedef {import("./admin-row.js").SessionBody} SessionBody */
/** @typedef {import("./admin-parts.js").Pair} Pair */
/** @typedef {ReturnType<typeof makeParts>} Parts */

export class Drawer {
  #dialog = /** @type {HTMLDialogElement} */ ($("drawer"));
  /** @type {SessionBody | null} */
  #session = null;
  /** @type {Log | null} */
  #log = null;
  /** @type {Parts | null} */
  #parts = null;
  /** What was used when the figures were last asked for. */
  #before = { at: 0, cpu: 0 };

  /** @param {{ closed: (id: string) => void, changed: () => Promise<void> }} uses */
  constructor(uses) {
    this.uses = uses;
    $("drawer-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#closed());
    $("drawer-start").addEventListener("click", () => this.#act($("drawer-start"), "start"));
    $("drawer-stop").addEventListener("click", async () => {
      if (this.#session && (await confirmStop(titleOf(this.#session.title)))) await this.#act($("drawer-stop"), "stop");
    });
    $("drawer-delete").addEventListener("click", () => this.#delete());
  }

  /** @param {SessionBody} session */
  async open(session) {
    this.#session = session;
    this.#before = { at: 0, cpu: 0 };
    this.#log = new Log(session.id);
    this.#parts = makeParts();
    $("drawer-open").href = `/sessions/${session.id}`;
    $("drawer-body").replaceChildren(...Object.values(this.#parts).map((part) => part.element), this.#log.element);
    this.#head(session);
    this.#parts.general.show("", () => [muted(t("admin.loading"))]);
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    await this.refresh();
  }

  #closed() {
    const id = this.#session?.id ?? "";
    this.#session = null;
    this.#log?.close();
    this.#log = null;
    this.#parts = null;
    $("drawer-body").replaceChildren();
    this.uses.closed(id);
  }

  /** @param {SessionBody} session */
  #head(session) {
    setText($("drawer-title"), titleOf(session.title));
    $("drawer-start").disabled = !startable(session.phase);
    $("drawer-stop").disabled = !stoppable(session.phase);
  }

  /** @param {HTMLButtonElement} button @param {"start" | "stop"} deed */
  async #act(button, deed) {
    const id = this.#session?.id;
    if (!id) return;
    await whileBusy(button, () => post(`${sessionPath(id)}/${deed}`));
    await Promise.all([this.refresh(), this.uses.changed()]);
  }

  async #delete() {
    const session = this.#session;
    if (!session || !(await confirmDelete(titleOf(session.title), session.head))) return;
    await whileBusy($("drawer-delete"), async () => {
      await deleteSession(session.id);
      this.#dialog.close();
    });
    await this.uses.changed();
  }

  /** What is shown is asked for anew. */
  async refresh() {
    const session = this.#session;
    const parts = this.#parts;
    if (!session || !parts) return;
    try {
      const [detail, agent] = await Promise.all([get(`/api/admin/sessions/${session.id}`), get(`${sessionPath(session.id)}/agent`).catch(() => null)]);
      if (this.#parts !== parts) return;
      this.#session = detail;
      this.#head(detail);
      parts.error.show(null, () => []);
      this.#fill(parts, detail, agent);
    } catch (error) {
      if (this.#parts !== parts) return;
      const { status, message } = /** @type {import("./api.js").Problem} */ (error);
      const words = status === 404 ? t("admin.drawer_gone") : message;
      parts.error.show(words, () => [h("p", { className: "alert bad", role: "alert" }, words)]);
      if (status === 404) for (const id of ["drawer-start", "drawer-stop", "drawer-delete"]) $(id).disabled = true;
    }
  }

  /** @param {Parts} parts @param {any} detail @param {any} agent */
  #fill(parts, detail, agent) {
    const { fault, sandbox, stats, connected = [], start_steps = [] } = detail;
    parts.general.show([detail, document.hidden], () => [general(detail)]);
    parts.fault.show(fault, () => (fault ? faultBody(fault) : []));
    parts.steps.show(start_steps, () => [start_steps.length ? steps(start_steps) : muted(t("admin.steps_none"))]);
    parts.sandbox.show(sandbox ?? null, () => [sandbox
      ? facts([[t("admin.sandbox_engine"), sandbox.engine], [t("admin.sandbox_id"), h("code", {}, sandbox.id)], [t("admin.sandbox_generation"), number(sandbox.generation)], [t("admin.sandbox_epoch"), h("code", {}, sandbox.epoch)]])
      : muted(t("admin.sandbox_none"))]);
    const used = stats ? this.#figures(stats, sandbox?.engine) : [];
    parts.stats.show(stats === undefined ? undefined : used, () => (stats === undefined ? [] : [stats ? facts(used) : muted(t("admin.stats_none"))]));
    parts.limits.show(agent, () => [agent ? facts(limits(agent)) : muted(t("admin.limits_none"))]);
    parts.clients.show(connected, () => [connected.length ? clients(connected) : muted(t("admin.clients_none"))]);
  }

  /** @param {any} stats @param {string} [engine] @returns {Pair[]} */
  #figures(stats, engine) {
    const now = { at: Date.now(), cpu: stats.cpu_seconds };
    const past = now.at - this.#before.at;
    const share = this.#before.at && past > 1000 && now.cpu >= this.#before.cpu ? ((now.cpu - this.#before.cpu) * 1000) / past : undefined;
    if (past > 1000) this.#before = now;
    const total = duration(stats.cpu_seconds * 1000);
    const percent = new Intl.NumberFormat(figures, { style: "percent" });
    return [
      [t("admin.stats_cpu"), share === undefined ? total : t("admin.stats_cpu_now", { total, percent: percent.format(share) })],
      [t("admin.stats_memory"), stats.memory_limit ? t("admin.stats_memory_of", { used: bytes(stats.memory_bytes), limit: bytes(stats.memory_limit) }) : bytes(stats.memory_bytes)],
      [t("admin.stats_processes"), number(stats.processes)],
      // The local engine counts neither.
      ...(engine === "local" ? [] : /** @type {Pair[]} */ ([
        [t("admin.stats_network"), t("admin.stats_network_both", { rx: bytes(stats.network_rx), tx: bytes(stats.network_tx) })],
        [t("admin.stats_disk"), bytes(stats.disk_bytes)],
      ])),
    ];
  }
}

const makeParts = () => ({
  error: new Part(),
  general: new Part(),
  fault: new Part(t("admin.fault_title")),
  steps: new Part(t("admin.steps_title")),
  sandbox: new Part(t("admin.sandbox_title")),
  stats: new Part(t("admin.stats_title")),
  limits: new Part(t("admin.limits_title")),
  clients: new Part(t("admin.clients_title")),
});

/** @param {any} detail */
function general(detail) {
  const { progress, labels = {} } = detail;
  const badge = h("span", { className: "badge" });
  showPhase(badge, detail);
  const when = (/** @type {string} */ text) => h("time", { dateTime: text }, dateTime(parseTime(text)));
  /** @type {Pair[]} */
  const pairs = [
    [t("admin.id"), h("code", {}, detail.id)],
    [t("session.phase"), h("span", {}, badge, detail.reason ? ` ${reasonText(detail)}` : null)],
    [t("session.agent_state"), word("agent", detail.agent_state)],
  ];
  if (progress) pairs.push([t("admin.progress"), h("span", {}, h("code", {}, progress.image), h("br"), [countText(detail.step, progress), progress.text].filter(Boolean).join(" · "))]);
  pairs.push([t("admin.col_owner"), detail.owner], [t("admin.col_created"), when(detail.created_at)], [t("admin.col_updated"), when(detail.updated_at)],
    [t("admin.col_events"), number(detail.head + 1)], [t("admin.restarts"), number(detail.restarts ?? 0)]);
  const named = Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(", ");
  if (named) pairs.push([t("admin.labels"), named]);
  return facts(pairs);
}

/** @param {NonNullable<SessionBody["fault"]>} fault */
function faultBody(fault) {
  const log = fault.log_tail?.length ? [h("pre", { tabIndex: 0, "aria-label": t("fault.log") }, fault.log_tail.join("\n"))] : [];
  return [h("div", { className: "alert bad" }, h("strong", {}, fault.cause), h("p", {}, `${t("fault.remedy")} ${said(fault.remedy)}`), h("code", {}, fault.code)), ...log];
}

/** @param {{ step: string, began_ms: number, took_ms?: number }[]} all */
const steps = (all) => table(t("admin.steps_title"), [t("admin.step_name"), t("admin.step_began"), t("admin.step_took")],
  all.map(({ step, began_ms, took_ms }) => [word("step", step), duration(began_ms), took_ms === undefined ? t("admin.step_open") : duration(took_ms)]));

/** @param {any[]} all */
const clients = (all) => table(t("admin.clients_title"), [t("admin.client_peer"), t("admin.client_role"), t("admin.client_cursor"), t("admin.client_lag"), t("admin.client_since")],
  all.map((c) => [c.peer, word("role", c.role), number(c.cursor), h("span", { className: c.lag > 0 ? "lag" : "" }, number(c.lag)), duration(c.connected_for * 1000)]));

/** @param {number} cost */
const dollars = (cost) => new Intl.NumberFormat(figures, { style: "currency", currency: "USD" }).format(cost);

/** What the agent has used of what it may; how long it worked isn't told. @param {any} agent @returns {Pair[]} */
function limits({ model, limits: most, used }) {
  /** @param {string} name @param {number} now @param {number} limit @param {(value: number) => string} words @returns {Pair} */
  const line = (name, now, limit, words) => [t(`admin.limit_${name}`), limit ? t("admin.limit_of", { used: words(now), limit: words(limit) }) : t("admin.limit_free", { used: words(now) })];
  return [
    [t("admin.limit_model"), model ?? t("admin.limit_model_none")],
    line("steps", used.steps, most.steps, number),
    line("cost", used.cost, most.cost, dollars),
    line("tokens", used.input_tokens + used.output_tokens, most.tokens, number),
    [t("admin.limit_time"), most.time ? t("admin.limit_most", { limit: duration(most.time * 1000) }) : t("admin.limit_none")],
  ];
}
