// What xterm.js makes, as the page's policy wants it: style elements with the page's nonce, no style attributes.
//
// Its option `documentOverride` reaches neither its viewport nor the rows that it draws: they ask the page's own
// document. So that document gives them elements which the policy allows; what else the page makes stays as it was.

import { $ } from "./dom.js";

const make = Document.prototype.createElement;
const set = Element.prototype.setAttribute;

/** By the object model a style may be set. @this {HTMLElement} @param {string} name @param {string} value */
function setAttribute(name, value) {
  if (name === "style") this.style.cssText = value;
  else set.call(this, name, value);
}

/** @param {string} tag @param {ElementCreationOptions} [options] */
function createElement(tag, options) {
  const element = make.call(document, tag, options);
  if (tag === "style") element.nonce = $("session").dataset.nonce ?? "";
  else if (tag === "span") element.setAttribute = setAttribute;
  return element;
}

/** From now on. */
export function allowStyles() {
  /** @type {any} */ (document).createElement = createElement;
}
