// What a new person reads: what runs where, what is missing, what comes next. And tasks to begin an empty conversation with.

import { $, h, setText } from "./dom.js";
import { said, t, word } from "./i18n.js";
import { showModels } from "./models.js";

/** @typedef {{ kind: string, isolation: { tier: string, protects?: string[], exposes?: string[] } }} Engine */
/** @typedef {{ models: import("./models.js").ModelView[], default: string | null }} Models */

/** @param {string} title @param {string[]} lines @param {string} kind */
const list = (title, lines, kind) => (lines.length ? h("div", { className: kind }, h("h4", {}, title), h("ul", {}, ...lines.map((line) => h("li", {}, said(line))))) : null);

/** Where things run, and what that keeps apart. @param {Engine | null} engine */
function where(engine) {
  if (!engine) return h("section", {}, h("h3", {}, t("first.where")), h("p", { className: "muted" }, t("first.where_unknown")));
  const { kind, isolation: { tier, protects = [], exposes = [] } } = engine;
  return h("section", { data: { part: "where" } }, h("h3", {}, t("first.where")), h("p", {}, t(kind === "local" ? "first.where_local" : "first.where_containers", { engine: kind })),
    h("p", {}, t("first.tier", { tier: word("first.tiers", tier) })),
    h("details", {}, h("summary", {}, t("first.apart")), list(t("first.protects"), protects, "protects"), list(t("first.exposes"), exposes, "exposes")));
}

/** The model that a session gets if nothing is chosen, or any that can be used. @param {Models | null} told */
export const usable = (told) => told?.models.find((one) => one.name === told.default && one.usable) ?? null;

/** @param {Models | null} told @param {() => void} changed */
function models(told, changed) {
  const ready = usable(told);
  const others = (told?.models ?? []).filter((one) => one.usable).map(({ name }) => name);
  const keys = h("button", { type: "button", id: "first-keys", className: ready ? "" : "primary", "aria-haspopup": "dialog", on: { click: async () => {
    await showModels();
    changed();
    $("first-keys")?.focus();
  } } }, t(ready ? "models.open" : "first.give_key"));
  const text = ready ? t("first.model_ready", { name: ready.name, model: ready.model }) : others.length ? t("first.model_other", { names: others.join(", ") }) : t("first.model_missing");
  return h("section", { data: { part: "model", ok: String(ready !== null) } }, h("h3", {}, t("first.model")), h("p", {}, text), h("p", {}, ready ? "" : t("first.without")), keys);
}

/** @param {boolean} ready whether a model can be used @param {() => void} begin */
function steps(ready, begin) {
  const go = h("button", { type: "button", id: "first-begin", className: ready ? "primary" : "", on: { click: begin } }, t("first.begin"));
  return h("section", { data: { part: "steps" } }, h("h3", {}, t("first.next")),
    h("ol", {}, h("li", { data: { done: String(ready) } }, t(ready ? "first.step_key_done" : "first.step_key")), h("li", {}, t("first.step_begin")), h("li", {}, t("first.step_work"))), go);
}

/**
 * Fills the explanation on the page of the sessions.
 * @param {HTMLElement} host @param {{ engine: Engine | null, models: Models | null, create: boolean, begin: () => void, changed: () => void }} what `create`: sessions may be made, keys set
 */
export function explain(host, { engine, models: told, create, begin, changed }) {
  const open = /** @type {HTMLDetailsElement | null} */ (host.querySelector("details"))?.open ?? false;
  host.replaceChildren(h("h2", {}, t("first.title")), h("p", {}, t("first.what")),
    create ? h("div", { className: "first-parts" }, where(engine), models(told, changed), steps(usable(told) !== null, begin)) : h("p", { className: "muted" }, t("first.guest")));
  const details = host.querySelector("details");
  if (details) details.open = open;
}

const TASKS = ["look", "script", "test"];
const COMMANDS = ["ls -la", "uname -a", "git --version"];

/** In an empty conversation: what one could begin with. Gone with the first message or command. */
export class Examples {
  #host = /** @type {HTMLElement} */ ($("examples"));
  #begun = false;
  #agent = false;
  #may = false;
  /** Nothing is suggested before it is known what could answer. */
  #known = false;

  /** @param {(text: string, toAgent: boolean) => void} fill */
  constructor(fill) {
    this.fill = fill;
  }

  /** @param {any} event */
  note({ action, source }) {
    if (this.#begun || !action || source === "environment" || ["system", "recall", "change_agent_state"].includes(action)) return;
    this.#begun = true;
    this.#host.hidden = true;
  }

  /** @param {boolean} agent whether a model answers */
  setAgent(agent) {
    if (this.#known && this.#agent === agent) return;
    this.#known = true;
    this.#agent = agent;
    this.#show();
  }

  /** @param {boolean} may whether this person writes here, and something hears it */
  setMay(may) {
    if (this.#may === may) return;
    this.#may = may;
    this.#show();
  }

  #show() {
    this.#host.hidden = this.#begun || !this.#may || !this.#known;
    if (this.#host.hidden) return;
    const texts = this.#agent ? TASKS.map((name) => t(`first.task_${name}`)) : COMMANDS;
    const heading = h("p", { className: "muted" });
    setText(heading, t(this.#agent ? "first.try_tasks" : "first.try_commands"));
    const buttons = texts.map((text) => h("button", { type: "button", data: { example: this.#agent ? "task" : "command" }, on: { click: () => this.fill(text, this.#agent) } }, this.#agent ? text : h("code", {}, text)));
    this.#host.replaceChildren(heading, h("div", { className: "example-list" }, ...buttons));
  }
}
