// What programs in the sandbox serve: the ports that are listened on, and one of them in a frame.

import { get, post, sessionPath } from "../api.js";
import { h, setText, sheet } from "../dom.js";
import { t } from "../i18n.js";
import { Ticker, Turns, codeLine, composerButton, copyText, empty, failure, openTab, resting, sandboxFrame, signButton } from "../pane-parts.js";

/** Between two looks while the pane is shown, in milliseconds. */
const EVERY = 4000;
const LOOKING = new Set(["ports_changed", "plugin_changed", "run", "phase_changed"]);
const WIDTHS = ["full", "tablet", "phone"];
const EXAMPLE = "python3 -m http.server 8000";

/** @typedef {{ port: number, program?: string, plugin?: string, url: string, host_url?: string }} Port */

class Preview {
  /** @type {Port[]} */
  #ports = [];
  /** @type {number | null} */
  #port = null;
  /** Whether the port that is shown is listened on. */
  #listens = false;
  #loads = 0;
  /** What was asked for here, in order: where a page went by itself, this page can't see. @type {{ port: number, path: string }[]} */
  #visits = [];
  #at = -1;
  #visible = false;
  #turns = new Turns(() => this.#look(), 200);
  #ticker = new Ticker(() => this.#turns.want(0), EVERY);
  #pick = h("select", { "aria-label": t("preview.port"), on: { change: () => this.#choose(Number(this.#pick.value)) } });
  #path = h("input", { "aria-label": t("preview.path"), title: t("preview.path_title"), value: "/", spellcheck: false, autocapitalize: "none", autocomplete: "off", enterKeyHint: "go" });
  #where = h("form", { className: "address", on: { submit: (/** @type {Event} */ event) => this.#go(event) } }, this.#path);
  #back = signButton("back", t("preview.back"), () => this.#step(-1));
  #forward = signButton("forward", t("preview.forward"), () => this.#step(1));
  #tools = h("span", { className: "row tools" }, this.#back, this.#forward,
    signButton("reload", t("preview.reload"), () => this.#load()),
    signButton("home", t("preview.home"), () => this.#home()),
    signButton("outside", t("preview.outside"), () => this.#outside()),
    signButton("copy", t("preview.copy"), () => copyText(this.#address())));
  #widths = h("select", { "aria-label": t("preview.width"), on: { change: () => this.#fit() } }, ...WIDTHS.map((value) => h("option", { value }, t(`preview.width_${value}`))));
  #note = h("p", { className: "banner preview-note", role: "status", hidden: true });
  #stage = h("div", { className: "preview-stage" });
  #bar = h("div", { className: "pane-bar" }, this.#pick, this.#where, this.#tools, this.#widths);

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    host.append(this.#bar, this.#note, this.#stage);
    this.#bar.hidden = true;
    this.#instead(empty(t("files.loading")));
    this.#fit();
  }

  /** @param {any} event */
  event({ observation }) {
    if (LOOKING.has(observation)) this.#turns.want();
  }

  joined() {
    this.#turns.want(0);
  }

  changed() {
    this.#turns.want(0);
  }

  shown() {
    this.#visible = true;
    this.#ticker.set(true);
    this.#turns.want(0);
  }

  hidden() {
    this.#visible = false;
    this.#ticker.set(false);
  }

  async #look() {
    if (!this.#visible) return;
    const rest = resting(this.context);
    if (rest) return this.#nothing(rest);
    try {
      this.#ports = (await get(`${sessionPath(this.context.id)}/ports`)).ports;
    } catch (error) {
      if (this.#port === null) this.#nothing(failure(error, () => this.#turns.want(0)));
      return; // a page that is shown stays
    }
    this.#showPorts();
    const listens = this.#ports.some(({ port }) => port === this.#port);
    if (this.#port === null) {
      const first = this.#ports.find(({ plugin }) => !plugin);
      if (first) this.#choose(first.port);
      else this.#nothing(this.#explain());
    } else if (!listens) {
      this.#say(t("preview.ended", { port: String(this.#port) }));
    } else if (!this.#listens) {
      this.#load(); // it is back
    }
    this.#listens = listens || this.#ports.some(({ port }) => port === this.#port);
  }

  #showPorts() {
    const shown = this.#ports.map(({ port, program, plugin }) => ({ port, name: plugin ? t("preview.of_plugin", { name: plugin }) : (program ?? "") }));
    if (this.#port !== null && !shown.some(({ port }) => port === this.#port)) shown.push({ port: this.#port, name: t("preview.gone") });
    const key = JSON.stringify(shown);
    if (this.#pick.dataset.key !== key) this.#pick.replaceChildren(...shown.map(({ port, name }) => h("option", { value: String(port) }, name ? `${port} · ${name}` : String(port))));
    this.#pick.dataset.key = key;
    if (this.#port !== null) this.#pick.value = String(this.#port);
  }

  #explain() {
    const how = this.context.canWrite() ? [h("p", {}, t("preview.none_how")), codeLine(EXAMPLE), composerButton(this.context, `${EXAMPLE} >/dev/null 2>&1 &`)] : [];
    const others = this.#ports.map(({ port, plugin }) => h("button", { type: "button", on: { click: () => this.#choose(port) } }, `${port} · ${plugin}`));
    return empty(t("preview.none"), ...how, ...(others.length ? [h("p", {}, t("preview.plugins")), h("div", { className: "row" }, ...others)] : []));
  }

  /** @param {number} port */
  #choose(port) {
    this.#port = port;
    this.#listens = true;
    this.#path.value = "/";
    this.#bar.hidden = false;
    this.#showPorts();
    this.#visit();
  }

  /** Loads what the fields say, as one more to go back from. */
  #visit() {
    this.#below(); // as it will be opened
    const now = { port: /** @type {number} */ (this.#port), path: this.#path.value };
    const last = this.#visits[this.#at];
    if (last?.port !== now.port || last.path !== now.path) {
      this.#at += 1;
      this.#visits.splice(this.#at, Infinity, now);
    }
    this.#steps();
    this.#load();
  }

  #steps() {
    this.#back.disabled = this.#at <= 0;
    this.#forward.disabled = this.#at >= this.#visits.length - 1;
  }

  /** @param {number} by */
  #step(by) {
    const to = this.#visits[this.#at + by];
    if (!to) return;
    this.#at += by;
    this.#port = to.port;
    this.#path.value = to.path;
    this.#showPorts();
    this.#listens = this.#ports.some(({ port }) => port === to.port);
    this.#steps();
    this.#load();
  }

  /** @param {Event} event */
  #go(event) {
    event.preventDefault();
    this.#visit();
  }

  #home() {
    this.#path.value = "/";
    this.#visit();
  }

  /** What stands behind the port's own address: never another place. */
  #below() {
    const known = this.#ports.find(({ port }) => port === this.#port);
    let typed = this.#path.value.trim();
    for (const own of [known?.host_url, known?.url]) if (own && typed.startsWith(own)) typed = typed.slice(own.length);
    const path = /^https?:\/\/[^/]*/.test(typed) ? typed.replace(/^https?:\/\/[^/]*/, "") : typed;
    this.#path.value = `/${path.replace(/^\/+/, "")}`;
    return this.#path.value.slice(1);
  }

  /** @param {string} base the port's address, maybe with a ticket */
  #join(base) {
    const root = new URL(base);
    const target = new URL(root);
    const [, path = "", query = "", hash = ""] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(this.#below()) ?? [];
    target.pathname = `${root.pathname}${path}`;
    if (!target.pathname.startsWith(root.pathname)) target.pathname = root.pathname; // `..` leads no higher
    target.search = [query.slice(1), root.search.slice(1)].filter(Boolean).join("&");
    target.hash = hash;
    return target.href;
  }

  #address() {
    const known = this.#ports.find(({ port }) => port === this.#port);
    return known ? this.#join(known.host_url ?? known.url) : "";
  }

  /** An address that signs one browser in, once. @returns {Promise<string>} */
  async #ticket() {
    const { url, host_url: host } = await post(`${sessionPath(this.context.id)}/ports/${this.#port}/ticket`);
    return this.#join(host ?? url);
  }

  #outside() {
    return openTab(() => this.#ticket());
  }

  async #load() {
    this.#loads += 1;
    const mine = this.#loads;
    this.#say(t("preview.loading"));
    try {
      const src = await this.#ticket();
      if (mine !== this.#loads) return;
      // A new frame each time: the page's own way back is not filled with addresses that work once.
      const frame = sandboxFrame(src, t("preview.frame", { port: String(this.#port) }), () => mine === this.#loads && this.#say(""));
      this.#stage.replaceChildren(frame);
    } catch (error) {
      if (mine !== this.#loads) return;
      this.#say("");
      const refused = /** @type {any} */ (error).status === 403 && !this.context.canWrite();
      this.#instead(refused ? empty(t("preview.not_viewers")) : failure(error, () => this.#load()));
    }
  }

  #fit() {
    this.#stage.dataset.width = this.#widths.value;
  }

  /** @param {string} text */
  #say(text) {
    setText(this.#note, text);
    this.#note.hidden = text === "";
  }

  /** No port is shown any more. @param {HTMLElement} element */
  #nothing(element) {
    this.#port = null;
    this.#loads += 1;
    this.#bar.hidden = true;
    this.#say("");
    this.#instead(element);
  }

  /** @param {HTMLElement} element */
  #instead(element) {
    if (this.#stage.textContent !== element.textContent || this.#stage.querySelector("iframe")) this.#stage.replaceChildren(element);
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context */
export default async function open(host, context) {
  await Promise.all([sheet("css/parts.css"), sheet("css/preview.css")]);
  return new Preview(host, context);
}
