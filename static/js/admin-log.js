// The log of one session's sandbox: its last lines, followed, wrapped, filtered, copied, downloaded.

import { get } from "./api.js";
import { notice } from "./dialog.js";
import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { keep, kept } from "./kept.js";

const EVERY = 2000;
const TAILS = [100, 200, 500, 1000];
const WRAPPED = "staithe.admin.wrap";

export class Log {
  /** @type {string[]} */
  #lines = [];
  #told = "";
  #asked = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {string} id the session's */
  constructor(id) {
    this.id = id;
    this.tail = h("select", {}, ...TAILS.map((n) => h("option", { value: String(n), selected: n === 200 }, String(n))));
    this.follow = h("input", { type: "checkbox", checked: true });
    this.wrap = h("input", { type: "checkbox", checked: kept(WRAPPED) !== "no" });
    this.filter = h("input", { type: "search", placeholder: t("admin.log_filter"), "aria-label": t("admin.log_filter") });
    this.count = h("span", { className: "muted small" });
    this.text = h("pre", { className: "log", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": t("admin.log_title") });
    this.error = h("p", { className: "alert bad", role: "alert", hidden: true });
    const copy = h("button", { type: "button", on: { click: () => this.#copy() } }, t("admin.log_copy"));
    const download = h("button", { type: "button", on: { click: () => this.#download() } }, t("admin.log_download"));
    this.element = h("details", { className: "log-view" }, h("summary", {}, h("h3", {}, t("admin.log_title"))),
      h("div", { className: "log-bar" }, this.filter, h("label", { className: "check" }, t("admin.log_lines"), this.tail),
        h("label", { className: "check" }, this.follow, t("admin.log_follow")), h("label", { className: "check" }, this.wrap, t("admin.log_wrap")),
        copy, download, this.count),
      this.error, this.text);
    this.element.addEventListener("toggle", () => this.#tick(true));
    this.tail.addEventListener("change", () => this.load());
    this.filter.addEventListener("input", () => this.#show(false));
    this.wrap.addEventListener("change", () => this.#wrap());
    this.follow.addEventListener("change", () => this.#tick(this.follow.checked));
    this.#timer = setInterval(() => this.#tick(this.follow.checked), EVERY);
    this.#wrap();
  }

  /** Nothing is asked any more. */
  close() {
    clearInterval(this.#timer);
    this.#asked += 1;
  }

  /** @param {boolean} wanted */
  #tick(wanted) {
    if (wanted && this.element.open && !document.hidden) this.load();
  }

  async load() {
    const turn = ++this.#asked;
    try {
      const { lines } = await get(`/api/admin/sessions/${encodeURIComponent(this.id)}/log?tail=${this.tail.value}`);
      if (turn !== this.#asked) return;
      this.error.hidden = true;
      this.#lines = lines;
      this.#show(this.follow.checked);
    } catch (error) {
      if (turn !== this.#asked) return;
      setText(this.error, t("admin.log_failed", { reason: /** @type {Error} */ (error).message }));
      this.error.hidden = false;
    }
  }

  get shown() {
    const wanted = this.filter.value.trim().toLowerCase();
    return wanted ? this.#lines.filter((line) => line.toLowerCase().includes(wanted)) : this.#lines;
  }

  /** @param {boolean} stick whether the end is kept in sight, for who is at it */
  #show(stick) {
    const { shown, text } = this;
    const total = this.#lines.length;
    setText(this.count, shown.length === total ? t("admin.log_count", { count: total }) : t("admin.log_count_of", { shown: shown.length, total }));
    const words = shown.length ? shown.join("\n") : t(total ? "admin.log_no_match" : "admin.log_none");
    if (words === this.#told) return; // what is selected stays selected
    const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
    this.#told = words;
    text.textContent = words;
    text.classList.toggle("muted", !shown.length);
    if (stick && atEnd) text.scrollTop = text.scrollHeight;
  }

  #wrap() {
    this.text.classList.toggle("whole", !this.wrap.checked);
    keep(WRAPPED, this.wrap.checked ? "yes" : "no");
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.shown.join("\n"));
      notice(t("admin.log_copied"));
    } catch { // no secure context, or it is forbidden
      getSelection()?.selectAllChildren(this.text);
      this.text.focus();
      notice(t("admin.log_not_copied"));
    }
  }

  #download() {
    const url = URL.createObjectURL(new Blob([`${this.shown.join("\n")}\n`], { type: "text/plain" }));
    h("a", { href: url, download: `${this.id}.log` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser has it by then
  }
}
