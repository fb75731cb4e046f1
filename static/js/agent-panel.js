// The agent of one session: its model, what it asks about, where it stops, what it has used. A dialog.

import { call, get, sessionPath } from "./api.js";
import { dollars } from "./agent.js";
import { notice, whileBusy } from "./dialog.js";
import { h, setText } from "./dom.js";
import { number, t } from "./i18n.js";
import { fillModels, listModels, showModels } from "./models.js";

const POLICIES = ["never", "risky", "always"];
/** @typedef {"steps" | "cost" | "tokens" | "time"} Limit */
/** Each with what one unit of the field is in the server's. @type {[Limit, number, string][]} */
const LIMITS = [["steps", 1, "1"], ["cost", 1, "any"], ["tokens", 1, "1"], ["time", 60, "any"]];

export class AgentPanel {
  /** @type {HTMLDialogElement | null} */
  #dialog = null;
  #used = h("dl", { className: "facts-list", id: "agent-facts" });
  /** @type {{ steps: number, cost: number, input: number, output: number } | null} */
  #told = null;

  /** @param {string} id the session's @param {HTMLButtonElement} button opens it @param {() => { write: boolean, keys: boolean }} may @param {(model: string | null) => void} known */
  constructor(id, button, may, known) {
    this.at = sessionPath(id);
    this.button = button;
    this.may = may;
    this.known = known;
    button.addEventListener("click", () => whileBusy(button, () => this.#open()));
  }

  /** Which model it has, on the button. */
  async refresh() {
    try {
      this.#name(await get(`${this.at}/agent`));
    } catch { /* the button says it without */ }
  }

  /** @param {any} view */
  #name(view) {
    setText(this.button, view.model ?? t("panel.no_model"));
    this.known(view.model);
  }

  /** What was used until now, as events tell. @param {{ steps: number, cost: number, input: number, output: number } | null} used */
  used(used) {
    if (!used) return;
    this.#told = used;
    if (!this.#dialog) return;
    const facts = [["steps", number(used.steps)], ["cost", used.cost > 0 || used.steps === 0 ? dollars(used.cost) : t("panel.unknown")], ["input", number(used.input)], ["output", number(used.output)]];
    this.#used.replaceChildren(...facts.flatMap(([name, text]) => [h("dt", {}, t(`panel.used_${name}`)), h("dd", { data: { used: name } }, text ?? "")]));
  }

  async #open() {
    const [view, { models }] = await Promise.all([get(`${this.at}/agent`), listModels()]);
    this.#name(view);
    const { write, keys } = this.may();
    const model = h("select", { id: "panel-model", disabled: !write });
    fillModels(model, models, view.model ?? "", view.model ? undefined : t("panel.no_model"));
    const confirm = h("select", { id: "panel-confirm", disabled: !write }, ...POLICIES.map((one) => h("option", { value: one, selected: one === view.confirm }, t(`panel.confirm_${one}`))));
    const inputs = new Map(LIMITS.map(([name, unit, step]) => [name, h("input", { id: `panel-${name}`, type: "number", min: "0", step, value: String(view.limits[name] / unit), disabled: !write })]));
    const fields = LIMITS.map(([name]) => h("div", { className: "field" }, h("label", { htmlFor: `panel-${name}` }, t(`panel.limit_${name}`)), inputs.get(name)));
    const error = h("p", { className: "alert bad", role: "alert", hidden: true });
    const cancel = h("button", { type: "button", on: { click: () => this.#dialog?.close() } }, t(write ? "action.cancel" : "action.close"));
    const save = h("button", { type: "submit", className: "primary", hidden: !write }, t("action.save"));
    const toKeys = h("button", { type: "button", hidden: !keys, on: { click: async () => {
      await showModels();
      fillModels(model, (await listModels()).models, model.value, view.model ? undefined : t("panel.no_model"));
      toKeys.focus();
    } } }, t("models.open"));
    const form = h("form", {}, h("h2", { id: "panel-title" }, t("panel.title")),
      h("div", { className: "field" }, h("label", { htmlFor: "panel-model" }, t("panel.model")), model),
      h("div", { className: "field" }, h("label", { htmlFor: "panel-confirm" }, t("panel.confirm")), confirm),
      h("fieldset", {}, h("legend", {}, t("panel.limits")), h("p", { className: "help" }, t("panel.limits_help")), h("div", { className: "limit-fields" }, ...fields)),
      h("div", {}, h("h3", {}, t("panel.used")), this.#used), error,
      h("div", { className: "buttons" }, toKeys, h("span", { className: "grow" }), cancel, save));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(view, model.value, confirm.value, inputs, save, error);
    });
    this.#dialog = h("dialog", { className: "panel", "aria-labelledby": "panel-title" }, form);
    this.#dialog.addEventListener("close", () => {
      this.#dialog?.remove();
      this.#dialog = null;
      this.button.focus();
    }, { once: true });
    document.body.append(this.#dialog);
    const { steps, cost, input_tokens: input, output_tokens: output } = view.used;
    this.used(this.#told ?? { steps, cost, input, output });
    this.#dialog.showModal();
    (write ? model : cancel).focus();
  }

  /** Only what was changed is sent. @param {any} view @param {string} model @param {string} confirm @param {Map<Limit, HTMLInputElement>} inputs @param {HTMLButtonElement} save @param {HTMLElement} error */
  async #save(view, model, confirm, inputs, save, error) {
    error.hidden = true;
    save.disabled = true;
    try {
      /** @type {Record<string, number>} */
      const limits = {};
      for (const [name, unit] of LIMITS) {
        const text = inputs.get(name)?.value.trim();
        if (!text) continue; // emptied: as it was; no limit is a 0 that somebody writes
        const value = Math.round(Number(text) * unit * 1e6) / 1e6;
        if (value !== view.limits[name]) limits[name] = name === "cost" ? value : Math.round(value);
      }
      let now = view;
      if (model && model !== view.model) now = await call("PUT", `${this.at}/model`, { json: { model } });
      const choice = { ...(confirm !== view.confirm ? { confirm } : {}), ...(Object.keys(limits).length ? { limits } : {}) };
      if (Object.keys(choice).length) now = await call("PUT", `${this.at}/agent`, { json: choice });
      this.#name(now);
      this.#dialog?.close();
      notice(t("panel.saved"));
    } catch (problem) {
      setText(error, problem instanceof Error ? problem.message : String(problem));
      error.hidden = false;
    } finally {
      save.disabled = false;
    }
  }
}

