// Elements without markup in strings: what comes from the server only ever becomes text.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element with properties, attributes and children. A key that the element has as a property is set
 * as one; `data` fills the dataset; `on` adds listeners; the rest becomes attributes.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any>} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key === "data") Object.assign(element.dataset, value);
    else if (key === "on") for (const [name, handler] of Object.entries(value)) element.addEventListener(name, /** @type {EventListener} */ (handler));
    else if (key in element && key !== "list" && key !== "form") /** @type {any} */ (element)[key] = value;
    else element.setAttribute(key, String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (children.filter((c) => c !== null && c !== undefined && c !== false)));
  return element;
}

/** The element with this id; the templates have it. @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tells people who listen rather than look; politely. @param {string} text */
export function announce(text) {
  const region = $("announce");
  if (region) region.textContent = text;
}

/** Marks the current page's link. @param {string} name */
export function markNav(name) {
  document.querySelector(`[data-nav="${name}"]`)?.setAttribute("aria-current", "page");
}

/** Where this build's static files are. */
const STATIC = document.documentElement.dataset.static ?? "";
/** @type {Map<string, Promise<void>>} */
const sheets = new Map();

/** Loads a style sheet of `static/`, once; one that did not come is asked for again by the next who needs it. @param {string} path such as `css/terminal.css` @returns {Promise<void>} */
export function sheet(path) {
  const known = sheets.get(path);
  if (known) return known;
  const loaded = new Promise((/** @type {(value?: any) => void} */ resolve, reject) => {
    const failed = () => {
      sheets.delete(path);
      link.remove();
      reject(new Error(path));
    };
    const link = h("link", { rel: "stylesheet", href: `${STATIC}/${path}`, on: { load: () => resolve(), error: failed } });
    document.head.append(link);
  });
  sheets.set(path, loaded);
  return loaded;
}

/** A bundle of others' libraries (`web/src`), or null where this build has none. @param {"terminal" | "editor" | "plot"} name @returns {Promise<any>} */
export async function library(name) {
  if (document.documentElement.dataset.libraries === "no") return null;
  return import(`${STATIC}/lib/${name}.js`);
}
