// Links that open one session for whoever has them, to watch or to work in it, until they expire: made, listed, taken back.

import { call, get, post, sessionPath } from "./api.js";
import { confirmLoss, copyText, whileBusy } from "./dialog.js";
import { announce, h, setText, sheet } from "./dom.js";
import { ago, dateTime, lang, parseTime, t, word } from "./i18n.js";

/** @typedef {{ id: string, role: "viewer" | "editor", name?: string | null, created_at: string, expires_at: string, created_by: string, last_used_at?: string | null }} LinkView */

const HOUR = 3600;
const DAY = 24 * HOUR;
/** How long a link may hold: seconds, and the words for them. @type {[number, Intl.RelativeTimeFormatUnit, number][]} */
const SPANS = [[HOUR, "hour", 1], [8 * HOUR, "hour", 8], [DAY, "day", 1], [7 * DAY, "day", 7], [30 * DAY, "day", 30]];
const USUAL = DAY;
const LONGEST_NAME = 200;
const EVERY = 30_000;
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always" });

/** "in 3 days". @param {Date} when */
function until(when) {
  const seconds = (when.getTime() - Date.now()) / 1000;
  if (seconds <= 0) return t("share.expired");
  /** @type {[Intl.RelativeTimeFormatUnit, number][]} */
  const units = [["day", DAY], ["hour", HOUR], ["minute", 60], ["second", 1]];
  const [unit, size] = /** @type {[Intl.RelativeTimeFormatUnit, number]} */ (units.find(([, one]) => seconds >= one * 0.99) ?? ["second", 1]);
  return t("share.expires", { when: relative.format(Math.max(1, Math.round(seconds / size)), unit) });
}

/** The words of a span: "8 hours". @param {number} count @param {string} unit */
const span = (count, unit) => new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "long" }).format(count);

class ShareDialog {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** @type {LinkView[]} */
  #links = [];

  /** @param {string} id the session's @param {string} title */
  constructor(id, title) {
    this.at = `${sessionPath(id)}/links`;
    this.error = h("p", { className: "alert bad", role: "alert", hidden: true });
    this.list = h("ul", { className: "link-list", id: "share-links", "aria-label": t("share.links"), "aria-busy": "true" });
    this.none = h("p", { className: "help", hidden: true }, t("share.none"));
    this.made = h("div", { className: "made", hidden: true });
    this.submit = h("button", { type: "submit", className: "primary" }, t("share.make"));
    this.role = h("select", { id: "share-role" }, ...["viewer", "editor"].map((one) => h("option", { value: one }, t(`share.as_${one}`))));
    this.span = h("select", { id: "share-span" }, ...SPANS.map(([seconds, unit, count]) => h("option", { value: String(seconds), selected: seconds === USUAL }, span(count, unit))));
    this.name = h("input", { id: "share-name", maxLength: LONGEST_NAME, autocomplete: "off", placeholder: t("share.name_hint") });
    const warn = h("p", { className: "help", id: "share-what", role: "status" });
    const say = () => setText(warn, t(`share.what_${this.role.value}`));
    this.role.addEventListener("change", say);
    say();
    const close = h("button", { type: "button", on: { click: () => this.dialog.close() } }, t("action.close"));
    const field = (/** @type {HTMLElement} */ control, /** @type {string} */ label) => h("div", { className: "field" }, h("label", { htmlFor: control.id }, label), control);
    this.form = h("form", {}, h("div", { className: "share-fields" }, field(this.role, t("share.role")), field(this.span, t("share.span")), field(this.name, t("share.name"))), warn,
      h("div", { className: "buttons" }, this.submit));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      whileBusy(this.submit, () => this.#make());
    });
    this.dialog = h("dialog", { id: "share-dialog", className: "share", "aria-labelledby": "share-title" },
      h("div", { className: "drawer-head" }, h("h2", { id: "share-title" }, t("share.title", { title })), close),
      this.form, this.error, this.made, h("h3", {}, t("share.links")), this.none, this.list);
    this.dialog.addEventListener("close", () => {
      clearInterval(this.#clock);
      this.dialog.remove();
    }, { once: true });
  }

  show() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.role.focus();
    this.#clock = setInterval(() => this.#show(), EVERY);
    return this.#load();
  }

  /** @param {unknown} error */
  #fail(error) {
    setText(this.error, error instanceof Error ? error.message : String(error));
    this.error.hidden = false;
  }

  async #load() {
    try {
      this.#links = (await get(this.at)).links;
      this.#show();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.list.removeAttribute("aria-busy");
    }
  }

  async #make() {
    this.error.hidden = true;
    const name = this.name.value.trim();
    try {
      const link = await post(this.at, { role: this.role.value, expires_in: Number(this.span.value), ...(name && { name }) });
      this.name.value = "";
      this.#showMade(link);
    } catch (error) {
      return this.#fail(error);
    }
    await this.#load();
  }

  /** The address has the secret, and is shown this once. @param {{ url: string, role: string }} link */
  #showMade({ url, role }) {
    const address = new URL(url, location.href).href;
    const input = h("input", { id: "share-url", value: address, readOnly: true, spellcheck: false, on: { focus: () => input.select() } });
    const copy = h("button", { type: "button", className: "primary", id: "share-copy" }, t("share.copy"));
    const told = h("p", { className: "help", role: "status" }, t("share.once"));
    copy.addEventListener("click", async () => {
      const copied = await copyText(address, this.dialog);
      setText(told, t(copied ? "share.copied" : "share.copy_yourself"));
      if (!copied) input.focus();
    });
    this.made.replaceChildren(h("label", { htmlFor: "share-url" }, t("share.made", { role: t(`share.as_${role}`) })), h("div", { className: "row nowrap" }, input, copy), told);
    this.made.hidden = false;
    copy.focus();
  }

  #show() {
    this.none.hidden = this.#links.length > 0;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.revoke;
    this.list.replaceChildren(...this.#links.map((link) => this.#line(link)));
    if (focused) /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-revoke="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {LinkView} link */
  #line(link) {
    const name = link.name || t(`share.as_${link.role}`);
    const ends = parseTime(link.expires_at);
    const used = link.last_used_at ? t("share.used", { when: ago(parseTime(link.last_used_at)) }) : t("share.unused");
    const revoke = h("button", { type: "button", className: "danger", data: { revoke: link.id }, "aria-label": t("share.revoke_named", { name }) }, t("share.revoke"));
    revoke.addEventListener("click", () => this.#revoke(link, name, revoke));
    return h("li", { data: { link: link.id } },
      h("div", { className: "what" }, h("strong", {}, name),
        h("span", { className: "muted small" }, t("share.by", { name: link.created_by, when: ago(parseTime(link.created_at)) }), " · ", used)),
      h("span", { className: "badge", data: { role: link.role } }, word("role", link.role)),
      h("time", { className: "small", dateTime: link.expires_at, title: dateTime(ends) }, until(ends)), revoke);
  }

  /** @param {LinkView} link @param {string} name @param {HTMLButtonElement} button */
  async #revoke(link, name, button) {
    if (!(await confirmLoss(t("share.revoke_title", { name }), [t("share.revoke_text")], t("share.revoke")))) return;
    button.disabled = true;
    try {
      await call("DELETE", `${this.at}/${encodeURIComponent(link.id)}`);
      announce(t("share.revoked", { name }));
      this.made.hidden = true;
      this.role.focus();
    } catch (error) {
      this.#fail(error);
    }
    await this.#load();
  }
}

/** @param {string} id the session's @param {string} title */
export async function openShare(id, title) {
  if (document.querySelector("dialog[open]")) return;
  await sheet("css/settings.css").catch(() => {}); // it works unadorned, too
  await new ShareDialog(id, title).show();
}
