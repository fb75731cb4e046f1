// The colours of a terminal: those of the page's sheet, as they are now, light or dark.

import { h } from "./dom.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");
/** What xterm.js calls it, and what css/terminal.css does. */
const COLOURS = {
  background: "bg", foreground: "fg", cursor: "cursor", cursorAccent: "bg", selectionBackground: "select", selectionInactiveBackground: "select",
  scrollbarSliderBackground: "slide", scrollbarSliderHoverBackground: "slide-on", scrollbarSliderActiveBackground: "slide-on",
  black: "black", red: "red", green: "green", yellow: "yellow", blue: "blue", magenta: "magenta", cyan: "cyan", white: "white",
  brightBlack: "black-2", brightRed: "red-2", brightGreen: "green-2", brightYellow: "yellow-2", brightBlue: "blue-2", brightMagenta: "magenta-2", brightCyan: "cyan-2", brightWhite: "white-2",
};

/** A colour of the sheet as #rrggbb. @param {HTMLElement} probe @param {string} name */
function colour(probe, name) {
  probe.style.color = `var(--term-${name})`;
  const parts = getComputedStyle(probe).color.match(/[\d.]+/g) ?? [];
  return `#${parts.slice(0, 3).map((part) => Math.round(Number(part)).toString(16).padStart(2, "0")).join("")}`;
}

/** @param {HTMLElement} host where the sheet's colours hold @returns {{ theme: Record<string, string>, found: string, here: string }} also those of what a search found */
export function coloursOf(host) {
  const probe = h("span", { hidden: true });
  host.append(probe);
  const theme = Object.fromEntries(Object.entries(COLOURS).map(([key, name]) => [key, colour(probe, name)]));
  const [found, here] = ["found", "here"].map((name) => colour(probe, name));
  probe.remove();
  return { theme, found: found ?? "", here: here ?? "" };
}

/** Tells when the page's theme is another one. @param {() => void} changed */
export function whenRecoloured(changed) {
  DARK.addEventListener("change", changed);
  new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}
