// Models and their keys, in a dialog. A key goes to the server and never comes back.

import { call, get } from "./api.js";
import { complain, confirmLoss, whileBusy } from "./dialog.js";
import { h, setText } from "./dom.js";
import { dateTime, duration, parseTime, t, word } from "./i18n.js";

/** @typedef {{ name: string, provider: string, model: string, base_url?: string, default: boolean, usable: boolean, code?: string, reason?: string, needs_key: boolean, key: { source: string, ends_with?: string, since?: string } | null }} ModelView */

/** @returns {Promise<{ models: ModelView[], default: string | null }>} */
export const listModels = () => get("/api/models");

/** Fills a choice of models, those without a key marked. @param {HTMLSelectElement} select @param {ModelView[]} models @param {string} chosen @param {string} [usual] the first line's text */
export function fillModels(select, models, chosen, usual) {
  const lines = models.map((one) => h("option", { value: one.name, disabled: !one.usable, selected: one.name === chosen }, one.usable ? `${one.name} · ${one.model}` : t("models.without_key", { name: one.name, model: one.model })));
  select.replaceChildren(...(usual === undefined ? [] : [h("option", { value: "", selected: !chosen }, usual)]), ...lines);
}

/** @param {string} name @param {string} [rest] */
const path = (name, rest = "key") => `/api/models/${encodeURIComponent(name)}/${rest}`;

class ModelRow {
  /** @param {ModelView} view @param {() => Promise<void>} changed */
  constructor(view, changed) {
    const id = `key-${view.name}`;
    this.name = view.name;
    this.changed = changed;
    this.input = h("input", { id, type: "password", autocomplete: "new-password", spellcheck: false, placeholder: t("models.key_hint"), required: true, minLength: 8, maxLength: 4096 });
    this.set = h("button", { type: "submit" }, t("models.set"));
    this.drop = h("button", { type: "button", className: "danger", on: { click: () => this.#remove() } }, t("models.remove"));
    this.check = h("button", { type: "button", on: { click: () => this.#check() } }, t("models.check"));
    this.badge = h("span", { className: "badge" });
    this.key = h("span", { className: "small muted" });
    this.outcome = h("p", { className: "small", role: "status" });
    const where = [word("provider", view.provider), view.model, view.base_url].filter(Boolean).join(" · ");
    const form = h("form", { className: "row key-form" }, h("label", { className: "sr", htmlFor: id }, t("models.key_of", { name: view.name })), this.input, this.set);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#set();
    });
    this.element = h("li", { data: { model: view.name } },
      h("div", { className: "row" }, h("strong", {}, view.name), this.badge, h("span", { className: "small muted where" }, where)),
      h("div", { className: "row" }, this.key, h("span", { className: "grow" }), this.check, this.drop), form, this.outcome);
    this.show(view);
  }

  /** @param {ModelView} view */
  show(view) {
    const { key } = view;
    this.badge.className = `badge ${view.usable ? "ok" : ""}`;
    setText(this.badge, view.default ? t("models.default") : view.usable ? t("models.usable") : t("models.unusable"));
    const end = key?.ends_with ? t("models.ends_with", { end: key.ends_with }) : "";
    const since = key?.since ? dateTime(parseTime(key.since)) : "";
    const said = key ? [word("key_source", key.source), end, since].filter(Boolean).join(" · ") : t(view.needs_key ? "models.no_key" : "models.needs_none");
    setText(this.key, view.code === "model.key_unreadable" ? t("models.unreadable") : said);
    this.drop.hidden = !(view.code === "model.key_unreadable" || (key && ["user", "installation"].includes(key.source)));
    this.check.disabled = !view.usable;
  }

  /** Work of a button whose outcome stands in this row, good or bad. @param {HTMLButtonElement} button @param {() => Promise<unknown>} work */
  #work(button, work) {
    delete this.outcome.dataset.ok;
    return whileBusy(button, async () => {
      try {
        await work();
      } catch (error) {
        setText(this.outcome, error instanceof Error ? error.message : String(error));
        this.outcome.dataset.ok = "false";
      }
    });
  }

  #set() {
    return this.#work(this.set, async () => {
      const view = await call("PUT", path(this.name), { json: { key: this.input.value.trim() } });
      this.input.value = "";
      this.show(view);
      setText(this.outcome, t("models.was_set"));
      await this.changed();
    });
  }

  async #remove() {
    if (!(await confirmLoss(t("models.remove_title", { name: this.name }), [t("models.remove_text")], t("models.remove")))) return;
    await this.#work(this.drop, async () => {
      await call("DELETE", path(this.name));
      setText(this.outcome, t("models.was_removed"));
      await this.changed();
    });
  }

  #check() {
    setText(this.outcome, t("models.checking"));
    return this.#work(this.check, async () => {
      const told = await call("POST", path(this.name, "check"));
      const time = duration(told.took_ms ?? 0);
      setText(this.outcome, told.ok ? t("models.works", { time }) : t("models.fails", { reason: told.message ?? "", code: told.code ?? "" }));
      this.outcome.dataset.ok = String(told.ok);
    });
  }
}

/** Opens the dialog; settled when it is closed. @returns {Promise<void>} */
export async function showModels() {
  let told;
  try {
    told = await listModels();
  } catch (error) {
    return complain(error);
  }
  /** @type {Map<string, ModelRow>} */
  const rows = new Map();
  const changed = async () => {
    for (const view of (await listModels()).models) rows.get(view.name)?.show(view);
  };
  for (const view of told.models) rows.set(view.name, new ModelRow(view, changed));
  const close = h("button", { type: "button", on: { click: () => dialog.close() } }, t("action.close"));
  const whose = document.documentElement.dataset.operator === "yes" ? "models.for_all" : "models.for_you";
  const dialog = h("dialog", { className: "models", "aria-labelledby": "models-title" },
    h("div", { className: "drawer-head" }, h("h2", { id: "models-title" }, t("models.title")), close),
    h("p", { className: "help" }, t("models.help")), h("p", { className: "help" }, t(whose)),
    h("ul", { className: "model-list" }, ...[...rows.values()].map((row) => row.element)));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      document.dispatchEvent(new Event("staithe.models"));
      resolve();
    }, { once: true });
    dialog.showModal();
    close.focus();
  });
}

/** A button that opens it. @param {HTMLButtonElement} button @param {() => void} [then] */
export function opensModels(button, then) {
  button.addEventListener("click", async () => {
    await showModels();
    button.focus();
    then?.();
  });
}

