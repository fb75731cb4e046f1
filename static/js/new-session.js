// The form for a new session: what it is about, where its files come from, which model works in it.

import { post, uuid } from "./api.js";
import { $, setText } from "./dom.js";
import { t } from "./i18n.js";
import { fillModels, listModels } from "./models.js";
import { pref, setPref } from "./prefs.js";

const EVERY = 5000;
const GIB = 1024 ** 3;

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

/** What was given, as the server takes it. */
function wanted() {
  /** @type {Record<string, unknown>} */
  const body = {};
  const fields = { title: "title", first_message: "message", repository: "repository", branch: "branch", git_token: "git-token", image: "image", model: "model" };
  for (const [name, id] of Object.entries(fields)) {
    const value = $(`new-${id}`).value.trim();
    if (value) body[name] = value;
  }
  const [memory, cpus] = ["new-memory", "new-cpus"].map((id) => Number($(id)?.value ?? 0));
  if (memory || cpus) body.resources = { ...(memory && { memory: Math.round(memory * GIB) }), ...(cpus && { cpus }) };
  const labels = labelsOf($("new-labels").value);
  if (Object.keys(labels).length) body.labels = labels;
  return body;
}

export class NewSession {
  #key = uuid(); // a second click or a retry makes no second session
  #fold = /** @type {HTMLDetailsElement} */ ($("new-fold"));
  /** Folded by the page, not by the person. */
  #forNow = false;
  #submit = /** @type {HTMLButtonElement} */ ($("new-submit"));

  constructor() {
    $("new-session").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#create();
    });
    $("new-message").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#create();
    });
    if (pref("new") === "folded") this.#fold.open = false;
    this.#fold.addEventListener("toggle", () => {
      if (!this.#forNow) setPref("new", this.#fold.open ? "" : "folded");
      this.#forNow = false;
    });
    document.addEventListener("staithe-settings", () => this.#begin());
    this.#begin();
  }

  /** With what the person chose for new sessions, where the form says nothing else yet. */
  #begin() {
    const image = $("new-image");
    if (!image.value || image.value === image.dataset.usual) image.value = image.dataset.usual = image.closest("[hidden]") ? "" : pref("image");
    this.#fillModels();
  }

  /** An engine with images asks for one. @param {boolean} has */
  setImages(has) {
    $("new-image-field").hidden = !has;
    this.#begin();
  }

  /** Shows the form, with the focus on its first field. */
  open() {
    this.#fold.open = true;
    $("new-title").focus();
    $("new-title").scrollIntoView({ block: "nearest" });
  }

  /** Makes room for the list, unless somebody is in the form already. */
  makeRoom() {
    if (!this.#fold.open || this.#fold.contains(document.activeElement) || $("new-title").value) return;
    this.#forNow = true;
    this.#fold.open = false;
  }

  /** The models may be others, or have keys by now. */
  refresh() {
    return this.#fillModels();
  }

  async #fillModels() {
    const select = /** @type {HTMLSelectElement} */ ($("new-model"));
    try {
      const { models, default: usual } = await listModels();
      const chosen = select.value || pref("model");
      const known = models.some(({ name, usable }) => name === chosen && usable) ? chosen : "";
      fillModels(select, models, known, usual ? t("sessions.model_default", { name: usual }) : t("sessions.model_none"));
    } catch { // the server's own choice holds
      fillModels(select, [], "", t("sessions.model_unknown"));
      setTimeout(() => this.#fillModels(), EVERY);
    }
  }

  async #create() {
    if (this.#submit.disabled) return;
    const error = $("new-error");
    error.hidden = true;
    this.#submit.disabled = true;
    setText(this.#submit, t("sessions.creating"));
    try {
      const made = await post("/api/sessions", wanted(), { "Idempotency-Key": this.#key });
      this.#key = uuid();
      location.assign(`/sessions/${made.id}`);
    } catch (problem) {
      if (/** @type {any} */ (problem).status) this.#key = uuid(); // refused: another attempt is another request
      setText(error, problem instanceof Error ? problem.message : String(problem));
      error.hidden = false;
      this.#submit.disabled = false;
      setText(this.#submit, t("sessions.create"));
    }
  }
}
