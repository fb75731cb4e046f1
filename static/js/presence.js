// Who else is in the session: initials in its header, a list under them, and a quiet word when somebody comes or goes.

import { announce, h } from "./dom.js";
import { ago, dateTime, lang, parseTime, t, word } from "./i18n.js";

/** Somebody's socket, as the server tells it. @typedef {{ id: string, name: string, role: string, you?: boolean, since: string, drives?: (number | string)[] }} Seat */
/** Somebody, with all that they have open. @typedef {{ key: string, name: string, role: string, you: boolean, since: string, windows: number, drives: string[] }} Person */

/** More than these are a number. */
const FACES = 4;
const HUES = 6;
/** So long is waited before a change is spoken of: a reload is nobody coming and going. */
const SETTLED = 4000;

/** The first letters of two words, or the first sign of a name that has none. @param {string} name */
export function initials(name) {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const signs = words.slice(0, 2).map((one) => [...one][0] ?? "");
  return signs.join("").toLocaleUpperCase(lang) || "?";
}

/** The same colour for the same person everywhere. @param {string} key */
const hue = (key) => [...key].reduce((sum, sign) => (sum * 31 + (sign.codePointAt(0) ?? 0)) % 9973, 7) % HUES;

/** @param {Person} person */
const face = ({ key, name }) => h("span", { className: "face", "aria-hidden": "true", data: { hue: String(hue(key)) } }, initials(name));

/** @param {string[]} names */
const listed = (names) => new Intl.ListFormat(lang, { type: "conjunction" }).format(names);

/**
 * One line for each person, whatever they have open.
 * @param {Seat[]} seats @param {string} you the seat of this page @param {Map<string, string>} driving the seat that drives each terminal
 * @returns {Person[]} you first, then as they came
 */
export function gathered(seats, you, driving) {
  /** @type {Map<string, Person>} */
  const each = new Map();
  for (const { id, name, role, since, you: own = id === you, drives = [] } of seats) {
    const key = `${role} ${name}`;
    const known = each.get(key);
    const told = [...driving].filter(([, seat]) => seat === id).map(([terminal]) => terminal);
    each.set(key, {
      key, name, role,
      you: own || (known?.you ?? false),
      since: known && parseTime(known.since) < parseTime(since) ? known.since : since,
      windows: (known?.windows ?? 0) + 1,
      drives: [...new Set([...(known?.drives ?? []), ...drives.map(String), ...told])],
    });
  }
  return [...each.values()].sort((a, b) => Number(b.you) - Number(a.you) || parseTime(a.since).getTime() - parseTime(b.since).getTime());
}

export class Presence {
  /** @type {Person[]} */
  #people = [];
  #told = { seats: /** @type {Seat[]} */ ([]), you: "", more: 0 };
  /** Which seat drives which terminal, as far as this page follows them. @type {Map<string, string>} */
  #driving = new Map();
  /** The same of all terminals, when that was last asked. @type {Map<string, string>} */
  #listed = new Map();
  /** Who was there when that was last spoken of; null before the first time. @type {Map<string, string> | null} */
  #spoken = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #list = h("ul", { className: "people-list" });

  /** @param {HTMLButtonElement} button in the header @param {(command: object) => Promise<any>} ask the server, by the session's socket */
  constructor(button, ask) {
    this.button = button;
    this.ask = ask;
    this.popup = h("div", { id: "presence-list", className: "popup", popover: "auto", role: "group", "aria-label": t("presence.title"), tabIndex: -1 }, h("h2", {}, t("presence.title")), this.#list);
    button.after(this.popup);
    button.popoverTargetElement = this.popup;
    this.popup.addEventListener("toggle", () => this.#toggled());
  }

  /** What the server says of who is here, and of who drives a terminal. @param {any} frame */
  frame(frame) {
    if (frame.type === "terminal") return this.#terminal(frame);
    if (frame.type !== "presence") return;
    this.#told = { seats: frame.people ?? [], you: frame.you ?? "", more: frame.more ?? 0 };
    this.#show();
    clearTimeout(this.#later);
    if (this.#spoken) this.#later = setTimeout(() => this.#speak(), SETTLED);
    else this.#spoken = this.#others();
  }

  /** @param {any} frame */
  #terminal({ terminal, event, driver }) {
    if (!["opened", "driver", "gone"].includes(event)) return;
    const before = this.#driving.get(String(terminal));
    if (driver) this.#driving.set(String(terminal), driver);
    else this.#driving.delete(String(terminal));
    if (before !== driver) this.#show();
  }

  #others() {
    return new Map(this.#people.filter(({ you }) => !you).map(({ key, name }) => [key, name]));
  }

  /** Who came and who went since the last word, in one sentence each. */
  #speak() {
    const now = this.#others();
    const before = this.#spoken ?? new Map();
    const came = [...now].filter(([key]) => !before.has(key)).map(([, name]) => name);
    const went = [...before].filter(([key]) => !now.has(key)).map(([, name]) => name);
    this.#spoken = now;
    const said = [came.length && t("presence.came", { names: listed(came), count: came.length }), went.length && t("presence.went", { names: listed(went), count: went.length })];
    const text = said.filter(Boolean).join(" ");
    if (text) announce(text);
  }

  #show() {
    const { seats, you, more: unnamed } = this.#told;
    this.#people = gathered(seats, you, new Map([...this.#listed, ...this.#driving]));
    const count = this.#people.length + unnamed;
    this.button.hidden = count === 0;
    const few = this.#people.slice(0, count > FACES ? FACES - 1 : FACES);
    const more = count - few.length;
    this.button.replaceChildren(...few.map(face), more > 0 ? h("span", { className: "face more", "aria-hidden": "true" }, `+${more}`) : "", h("span", { className: "sr" }, t("presence.count", { count })));
    this.button.title = listed(this.#people.map(({ name }) => name));
    this.#list.replaceChildren(...this.#people.map((one) => this.#line(one)), unnamed > 0 ? h("li", { className: "muted" }, t("presence.more", { count: unnamed })) : "");
  }

  /** @param {Person} person */
  #line(person) {
    const since = parseTime(person.since);
    const role = h("span", { className: "muted small" }, word("role", person.role), " · ", h("time", { dateTime: person.since, title: dateTime(since) }, t("presence.since", { when: ago(since) })));
    const drives = person.drives.length > 0 && h("span", { className: "small drives" }, t("presence.drives", { names: listed(person.drives.map((one) => `#${one}`)), count: person.drives.length }));
    const windows = person.windows > 1 && h("span", { className: "muted small" }, t("presence.windows", { count: person.windows }));
    const name = h("strong", {}, person.you ? t("presence.you", { name: person.name }) : person.name);
    return h("li", { data: { person: person.name } }, face(person), h("div", { className: "what" }, name, role, windows, drives));
  }

  /** Under its button, as far as there is room. */
  #toggled() {
    const open = this.popup.matches(":popover-open");
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const box = this.button.getBoundingClientRect();
    this.popup.style.left = `${Math.max(8, Math.min(box.left, innerWidth - this.popup.offsetWidth - 8))}px`;
    this.popup.style.top = `${box.bottom + 4}px`;
    this.#show(); // times have moved on
    this.#askForDrivers();
  }

  /** Terminals that no pane of this page follows have drivers, too. */
  async #askForDrivers() {
    /** @type {{ terminals?: { id: number, driver?: string | null }[] }} */
    const { terminals = [] } = await this.ask({ type: "terminal.list" }).catch(() => ({})); // without a sandbox nobody drives
    this.#listed = new Map(terminals.flatMap(({ id, driver }) => (driver ? [[String(id), driver]] : [])));
    this.#show();
  }
}
