// Health, what the engine is and isolates, what waits for it, which images are built, and the configuration that holds.

import { get, post } from "./api.js";
import { complain, confirmLoss, notice, whileBusy } from "./dialog.js";
import { $, h, setText } from "./dom.js";
import { clock, parseTime, said, t, word } from "./i18n.js";
import { Part, table } from "./admin-parts.js";

/** A fact's value in words. @param {string} value */
const factValue = (value) => word("fact_value", value) || "–";
/** @param {boolean} is */
const yes = (is) => (is ? "yes" : "no");

/** @param {"protects" | "exposes"} kind @param {string[]} lines */
const column = (kind, lines) => h("div", { className: kind }, h("h3", {}, t(`admin.${kind}`)),
  lines.length ? h("ul", {}, ...lines.map((line) => h("li", {}, said(line)))) : h("p", { className: "muted" }, t("admin.nothing")));

/** @param {any} engine what `/health` says of it @param {any} known what operators are told */
function engineBody(engine, known) {
  const { tier = "?", protects = [], exposes = [] } = engine?.isolation ?? {};
  const all = [...known.facts, { name: "pause", value: yes(known.pause) }, { name: "pool", value: yes(known.pool) }];
  const list = h("dl", { className: "engine-facts" }, ...all.map(({ name, value }) => h("div", {}, h("dt", {}, word("fact", name.replaceAll(" ", "_"))), h("dd", {}, factValue(value)))));
  const lacks = known.lacks.length ? [h("div", { className: "alert warn" }, h("h3", {}, t("admin.lacks_title")), h("ul", {}, ...known.lacks.map((/** @type {string} */ line) => h("li", {}, said(line)))))] : [];
  return [h("p", {}, t("sessions.isolation", { engine: engine?.kind ?? "?", tier: String(tier) })), list, ...lacks, h("div", { className: "cols" }, column("protects", protects), column("exposes", exposes))];
}

/** @param {any[]} builds */
const buildsTable = (builds) => table(t("admin.builds_title"), [t("admin.build_image"), t("admin.build_state"), t("admin.build_waiters"), t("admin.build_since")],
  builds.map(({ image, asked, state, waiters, since, progress }) => [h("span", { title: asked }, image), [word("admin", `build_state_${state}`), progress?.text].filter(Boolean).join(": "), String(waiters), clock(parseTime(since))]));

export class Engine {
  #part = new Part();
  #builds = new Part(t("admin.builds_title"));
  /** What `/health` said last: the overview shows version and uptime. @type {{ version: string, uptime: number, at: number } | null} */
  health = null;

  constructor() {
    this.#part.body.className = "engine";
    $("engine").replaceChildren(this.#part.element, this.#builds.element);
    $("reconcile").addEventListener("click", () => whileBusy($("reconcile"), () => this.#reconcile()));
    $("drain").addEventListener("click", () => this.#drain());
    $("config").addEventListener("toggle", () => this.#config());
  }

  async refresh() {
    const [health, known] = await Promise.allSettled([get("/health"), get("/api/admin/engine")]);
    if (health.status === "fulfilled") {
      const { status, version, uptime } = health.value;
      this.health = { version, uptime, at: Date.now() };
      setText($("health"), word("health", status));
      $("health").className = `badge ${status === "ok" ? "ok" : "busy"}`;
    }
    if (known.status === "fulfilled") {
      const { waiting, starting, ready, builds = [] } = known.value;
      setText($("starts"), t("admin.starts", { waiting, starting, ready }));
      this.#builds.show(builds, () => (builds.length ? [buildsTable(builds)] : []));
    }
    if (health.status === "fulfilled" && known.status === "fulfilled") {
      const { facts, lacks, pause, pool } = known.value;
      this.#part.show([health.value.engine, facts, lacks, pause, pool], () => engineBody(health.value.engine, known.value));
    } else if (!$("engine").querySelector("dl")) { // else what was last known stays; the list says what is wrong
      const { reason } = /** @type {PromiseRejectedResult} */ (health.status === "rejected" ? health : known);
      this.#part.show(reason.message, () => [h("p", { className: "alert bad" }, reason.message)]);
    }
  }

  async #reconcile() {
    const result = await post("/api/admin/reconcile");
    const words = result && typeof result === "object" ? Object.entries(result).map(([k, v]) => `${k} ${Array.isArray(v) ? v.length : typeof v === "object" ? JSON.stringify(v) : v}`).join(", ") : "";
    notice(words ? t("admin.reconciled", { result: words }) : t("admin.reconciled_clean"));
  }

  async #drain() {
    if (!(await confirmLoss(t("confirm.drain_title"), [t("confirm.drain_text")], t("admin.drain")))) return;
    await whileBusy($("drain"), async () => {
      await post("/api/admin/drain");
      notice(t("admin.draining"));
      await this.refresh();
    });
  }

  async #config() {
    if (!$("config").open) return;
    try {
      setText($("config-text"), (await get("/api/admin/config")).config);
    } catch (error) {
      complain(error);
    }
  }
}
