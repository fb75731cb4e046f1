// The question for consent, in the card of the action that it is about: approve, reject, or change it first.

import { h, setText } from "./dom.js";
import { t, word } from "./i18n.js";

/** What stands where a secret is: what has it can't be run as it is meant. */
const HIDDEN = "<secret_hidden>";
/** What of each action a person may change, as the server takes it. @type {Record<string, string[]>} */
const EDITABLE = {
  run: ["command"],
  run_ipython: ["code"],
  read: ["path"],
  write: ["path", "content"],
  edit: ["path", "content", "file_text", "old_str", "new_str", "insert_line"],
  browse: ["url"],
  browse_interactive: ["browser_actions"],
  call_tool_mcp: ["arguments"],
  delegate: ["inputs"],
};
/** On one line. */
const SHORT = ["path", "url", "insert_line"];
/** Lines of a field at most, before it scrolls. */
const MOST_LINES = 16;

/** What is alike, for an agreement to all of it: `run:echo`, `run:permissions`, `edit`. @param {string} kind */
function kindText(kind) {
  const [tool = "", ...rest] = kind.split(":");
  const what = rest.join(":");
  if (!what) return word("kind", tool);
  return word("rule", what) === what ? t("consent.kind", { tool: word("kind", tool), what }) : word("rule", what);
}

/** One argument that can be changed. */
class Field {
  /** @param {string} name @param {any} value */
  constructor(name, value) {
    this.name = name;
    this.value = value;
    const id = `edit-${name}`;
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const same = { id, value: text, spellcheck: false, "aria-describedby": `${id}-fault` };
    this.box = SHORT.includes(name) ? h("input", { ...same, autocomplete: "off" }) : h("textarea", { ...same, rows: Math.min(MOST_LINES, text.split("\n").length + 1) });
    this.box.addEventListener("input", () => this.#say(""));
    this.fault = h("p", { id: `${id}-fault`, className: "small edit-fault", hidden: true });
    this.element = h("div", { className: "edited" }, h("label", { htmlFor: id, className: "small" }, word("edit_field", name)), this.box, this.fault);
  }

  /** What is written there, or none if that can't be taken; says why beside it. @returns {{ value: any } | null} */
  read() {
    const text = this.box.value;
    let fault = text.includes(HIDDEN) ? t("consent.hidden", { hidden: HIDDEN }) : "";
    let value = /** @type {any} */ (text);
    if (typeof this.value === "number") {
      value = Number(text);
      if (!/^\d+$/.test(text.trim())) fault = t("consent.not_number");
    } else if (typeof this.value !== "string") {
      try {
        value = JSON.parse(text);
        if (typeof value !== "object" || value === null || Array.isArray(value)) fault = t("consent.not_object");
      } catch (error) {
        fault = t("consent.not_json", { why: /** @type {Error} */ (error).message });
      }
    }
    // What stays as it was may have a secret in it: the server has that part whole.
    if (text === (typeof this.value === "string" ? this.value : JSON.stringify(this.value, null, 2))) {
      fault = "";
      value = this.value;
    }
    this.#say(fault);
    return fault ? null : { value };
  }

  /** @param {string} fault */
  #say(fault) {
    setText(this.fault, fault);
    this.fault.hidden = !fault;
    this.box.setAttribute("aria-invalid", String(Boolean(fault)));
  }
}

export class ConsentBox {
  /** @type {Field[]} */
  #fields = [];

  /** @param {any} event @param {(verdict: string, more?: Record<string, unknown>) => void} decide */
  constructor(event, decide) {
    this.event = event;
    this.decide = decide;
    const { kinds = [], rules = [] } = event.tool_call_metadata?.confirmation ?? {};
    this.yes = h("button", { type: "button", className: "primary", id: "confirm-yes", on: { click: () => decide("user_confirmed") } }, t("consent.yes"));
    this.all = h("button", { type: "button", id: "confirm-all", hidden: kinds.length === 0, on: { click: () => decide("user_confirmed", { scope: "kind" }) } }, t("consent.all"));
    this.change = h("button", { type: "button", id: "confirm-edit", hidden: this.#editable().length === 0, "aria-expanded": "false", on: { click: () => this.#edit(!this.editing) } }, t("consent.edit"));
    this.no = h("button", { type: "button", className: "danger", id: "confirm-no", on: { click: () => this.#reject() } }, t("consent.no"));
    this.reason = h("input", { id: "confirm-reason", maxLength: 2000, autocomplete: "off" });
    this.hint = h("p", { className: "small muted keys" });
    this.form = h("div", { className: "edit-form", role: "group", hidden: true, "aria-label": t("consent.edit_title") });
    const why = rules.length > 0 ? rules.map((/** @type {string} */ rule) => word("rule", rule)).join("; ") : t("consent.policy");
    this.element = h("div", { className: "consent", role: "group", tabIndex: -1, "aria-labelledby": "consent-title" },
      h("p", { id: "consent-title" }, h("strong", {}, t("consent.title"))),
      h("p", { className: "small" }, t("consent.why", { why })),
      kinds.length > 0 ? h("p", { className: "small muted" }, t("consent.kinds", { kinds: kinds.map(kindText).join("; ") })) : null,
      h("div", { className: "row" }, this.yes, this.all, this.change, this.no),
      this.form,
      h("div", { className: "field" }, h("label", { htmlFor: "confirm-reason", className: "small" }, t("consent.reason")), this.reason),
      this.hint);
    this.element.addEventListener("keydown", (pressed) => this.#key(pressed));
  }

  get editing() {
    return !this.form.hidden;
  }

  /** @param {boolean} may @param {boolean} live */
  setUsable(may, live) {
    for (const part of [this.yes, this.all, this.change, this.no, this.reason]) part.disabled = !may || !live;
    const save = /** @type {HTMLButtonElement | null} */ (this.form.querySelector("#edit-run"));
    if (save) save.disabled = !may || !live;
    setText(this.hint, t(!may ? "consent.editors" : live ? "consent.keys" : "consent.offline"));
  }

  /** The names of what the action has and a person may change. @returns {string[]} */
  #editable() {
    const args = this.event.args ?? {};
    const filled = (/** @type {string} */ name) => args[name] !== undefined && args[name] !== null && !(args[name] === "" && this.event.action === "edit");
    return (EDITABLE[this.event.action] ?? []).filter(filled);
  }

  /** @param {boolean} on */
  #edit(on) {
    this.form.hidden = !on;
    // What agrees to the step as it was stands out of the way of the one that agrees to what is written.
    for (const part of [this.yes, this.all]) part.classList.toggle("away", on);
    this.change.setAttribute("aria-expanded", String(on));
    if (!on) return this.change.focus();
    if (this.#fields.length === 0) {
      this.#fields = this.#editable().map((name) => new Field(name, this.event.args[name]));
      const run = h("button", { type: "button", className: "primary", id: "edit-run", on: { click: () => this.#agree() } }, t("consent.edit_run"));
      const back = h("button", { type: "button", on: { click: () => this.#edit(false) } }, t("action.cancel"));
      this.form.append(...this.#fields.map((field) => field.element), h("p", { className: "small" }, t("consent.edit_told")), h("div", { className: "row" }, run, back));
    }
    this.#fields[0]?.box.focus();
  }

  /** Agrees to what is written now. */
  #agree() {
    /** @type {Record<string, unknown>} */
    const edited = {};
    for (const field of this.#fields) {
      const read = field.read();
      if (!read) return field.box.focus();
      if (JSON.stringify(read.value) !== JSON.stringify(field.value)) edited[field.name] = read.value;
    }
    this.decide("user_confirmed", Object.keys(edited).length > 0 ? { edited } : {});
  }

  #reject() {
    this.decide("user_rejected", { thought: this.reason.value.trim() });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || event.repeat || event.altKey || this.yes.disabled) return;
    if (this.form.contains(/** @type {Node} */ (event.target))) return this.#formKey(event);
    if (event.ctrlKey || event.metaKey) return;
    if (event.target === this.reason) {
      if (event.key === "Enter") {
        event.preventDefault();
        this.#reject();
      }
      return;
    }
    const chosen = { a: this.yes, k: this.all, e: this.change, r: this.reason }[event.key.toLowerCase()];
    if (!chosen || chosen.hidden || chosen.classList.contains("away")) return;
    event.preventDefault();
    if (chosen === this.reason) chosen.focus();
    else chosen.click();
  }

  /** Letters are what is written here; Ctrl+Enter agrees, Escape leaves. @param {KeyboardEvent} event */
  #formKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#agree();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.#edit(false);
    }
  }

  /** Where its keys hold. The focus comes here only when a person brings it: a letter that was meant for elsewhere must not decide. */
  look() {
    this.element.scrollIntoView({ block: "nearest" });
    this.element.focus();
  }
}
