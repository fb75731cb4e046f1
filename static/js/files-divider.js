// The line between the tree of files and the editor: their shares are remembered, one for side by side and one for above each other.

import { Divider } from "./divider.js";
import { $, h } from "./dom.js";
import { keep, kept } from "./kept.js";
import { t } from "./i18n.js";

/** @param {boolean} across */
const wayOf = (across) => (across ? "wide" : "tall");

export function divideFiles() {
  const editor = /** @type {HTMLElement} */ ($("editor"));
  const body = /** @type {HTMLElement} */ (editor.parentElement);
  const line = h("div", { id: "files-divider", "aria-label": t("files.divider"), "aria-controls": "editor" });
  editor.before(line);
  const put = (/** @type {string} */ way, /** @type {string} */ percent) => (percent ? body.style.setProperty(`--tree-${way}`, `${percent}%`) : body.style.removeProperty(`--tree-${way}`));
  for (const way of ["wide", "tall"]) put(way, String(Number(kept(`staithe.tree.${way}`)) || ""));
  const store = (/** @type {boolean} */ across, /** @type {string} */ percent) => {
    put(wayOf(across), percent);
    keep(`staithe.tree.${wayOf(across)}`, percent);
  };
  const divider = new Divider(line, {
    before: () => ["tree", "found", "files-empty"].map((id) => /** @type {HTMLElement} */ ($(id))).find((part) => part.getClientRects().length > 0),
    after: () => editor,
    set: (percent, across) => store(across, String(percent)),
    reset: (across) => store(across, ""),
  });
  new ResizeObserver(() => divider.refresh()).observe(editor); // it opens and closes
}
