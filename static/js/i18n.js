// The page's language: strings from the catalogue that <html data-i18n> names; numbers and dates by Intl, as the browser's own region writes them.

/** Between attempts, in milliseconds: a browser may break one off when the machine's networks change. */
const WAITS = [0, 200, 500, 1000, 2000];
/** @type {Record<string, any>} */
let catalogue = {};
for (const wait of WAITS) {
  if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
  try {
    const answer = await fetch(document.documentElement.dataset.i18n ?? "");
    if (answer.ok) catalogue = await answer.json();
    break;
  } catch { /* the keys themselves are shown in the end */ }
}

export const lang = document.documentElement.lang || "en";
const plural = new Intl.PluralRules(lang);

/**
 * How dates and numbers are written: as in the browser's own language where that is the page's. An English page may be read
 * by anybody: its words stay English, with the order, the hours and the figures of the region that the browser is of.
 * @param {string} own the browser's @returns {{ dates: Intl.Locale, figures: Intl.Locale }} `figures`: for what has no words
 */
export function conventions(own) {
  const page = new Intl.Locale(lang);
  try {
    const browser = new Intl.Locale(own);
    const { language, script, region = "" } = browser.maximize();
    if (language === page.language && script === page.maximize().script) return { dates: browser, figures: browser };
    if (page.language !== "en") return { dates: page, figures: page };
    const { hourCycle = "h23" } = new Intl.DateTimeFormat(own, { hour: "numeric" }).resolvedOptions();
    const latin = { numberingSystem: "latn" };
    return { dates: new Intl.Locale("en", { ...latin, region, hourCycle }), figures: new Intl.Locale(own, latin) };
  } catch {
    return { dates: page, figures: page }; // no tag of a language, such as "C"
  }
}

/** `dates` may hold words, in the page's language; `figures` writes what has none. */
export const { dates, figures } = conventions(navigator.languages?.[0] ?? lang);
const numbers = new Intl.NumberFormat(figures);
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
const fullDate = new Intl.DateTimeFormat(dates, { dateStyle: "medium", timeStyle: "medium" });
const timeOnly = new Intl.DateTimeFormat(dates, { timeStyle: "medium" });

/**
 * The string of a dotted key; `{name}` is replaced, `count` chooses a plural form.
 * @param {string} key @param {Record<string, string | number>} [values] @returns {string}
 */
export function t(key, values = {}) {
  let found = key.split(".").reduce((at, part) => (at && typeof at === "object" ? at[part] : undefined), /** @type {any} */ (catalogue));
  if (found && typeof found === "object" && "count" in values) {
    found = found[plural.select(Number(values.count))] ?? found.other;
  }
  if (typeof found !== "string") return key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? numbers.format(value) : value;
  });
}

/** Whether the catalogue has the key. @param {string} key */
export const has = (key) => t(key) !== key;

/** A word of the protocol in the page's language, or itself. @param {string} group @param {string} word */
export function word(group, word) {
  return has(`${group}.${word}`) ? t(`${group}.${word}`) : word;
}

/** The server's sentences with something to fill in, such as "sandboxes share the network {name}". */
const shapes = Object.entries(catalogue.said ?? {}).filter(([from]) => from.includes("{")).map(([from, to]) => {
  const fixed = from.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return { names: [...from.matchAll(/\{(\w+)\}/g)].map(([, name]) => name), like: new RegExp(`^${fixed.join("(.+)")}$`), to };
});

/** A sentence of the server's in the page's language, or itself. @param {string} text @returns {string} */
export function said(text) {
  if (Object.hasOwn(catalogue.said ?? {}, text)) return catalogue.said[text];
  for (const { names, like, to } of shapes) {
    const found = like.exec(text);
    if (found) return to.replace(/\{(\w+)\}/g, (/** @type {string} */ whole, /** @type {string} */ name) => found[names.indexOf(name) + 1] ?? whole);
  }
  return text;
}

/** @param {number} n */
export const number = (n) => numbers.format(n);

/** Events carry times with or without a zone; without one they are UTC. @param {string} text */
export function parseTime(text) {
  return new Date(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}

/** "5 min ago". @param {Date} when */
export function ago(when) {
  const seconds = Math.min(0, (when.getTime() - Date.now()) / 1000);
  /** @type {[Intl.RelativeTimeFormatUnit, number][]} */
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  for (const [unit, size] of units) {
    if (-seconds >= size) return relative.format(Math.ceil(seconds / size), unit);
  }
  return relative.format(-seconds < 10 ? 0 : Math.ceil(seconds), "second");
}

/** @param {Date} when */
export const dateTime = (when) => (Number.isNaN(when.getTime()) ? "" : fullDate.format(when));
/** @param {Date} when */
export const clock = (when) => (Number.isNaN(when.getTime()) ? "" : timeOnly.format(when));

/** A number of bytes for people. @param {number} n */
export function bytes(n) {
  if (n < 1024) return t("files.size_bytes", { count: n });
  /** @type {[string, number][]} */
  const units = [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]];
  const [unit, size] = /** @type {[string, number]} */ (units.find(([, s]) => n >= s));
  return `${new Intl.NumberFormat(figures, { maximumFractionDigits: 1 }).format(n / size)} ${unit}`;
}

/** A number with its unit: the figures as the region writes them, the unit's word in the page's language. @param {number} value @param {string} unit @param {Intl.NumberFormatOptions} [digits] */
function counted(value, unit, digits = {}) {
  const parts = new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "short", ...digits }).formatToParts(value);
  const word = (/** @type {Intl.NumberFormatPart} */ { type }) => type === "unit" || type === "literal";
  const first = parts.findIndex((part) => !word(part));
  const figure = new Intl.NumberFormat(figures, digits).format(value);
  return parts.map((part, index) => (word(part) ? part.value : index === first ? figure : "")).join("");
}

/** A time that runs, to the second for its first hour: "2 min 14 sec". @param {number} ms */
export function elapsed(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return counted(seconds, "second");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${counted(minutes, "minute")} ${counted(seconds % 60, "second")}`;
  return `${counted(Math.floor(minutes / 60), "hour")} ${counted(minutes % 60, "minute")}`;
}

/** A stretch of time. @param {number} ms */
export function duration(ms) {
  const fraction = { maximumFractionDigits: ms < 10000 ? 2 : 0 };
  const [unit, value] = ms < 1000 ? ["millisecond", ms] : ms < 120000 ? ["second", ms / 1000] : ms < 7200000 ? ["minute", ms / 60000] : ["hour", ms / 3600000];
  return counted(/** @type {number} */ (value), /** @type {string} */ (unit), fraction);
}
