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
