// Two versions of a text, theirs and mine, to be made one by hand: side by side, or one below the other where it is narrow.

import { h } from "./dom.js";
import { codeLibrary, common } from "./editor-code.js";
import { t } from "./i18n.js";

const WIDE = 640;

/** @typedef {{ element: HTMLElement, text: () => string, setTheirs: (text: string) => void, focus: () => void, destroy: () => void }} Merge */

/** @param {string} title @param {string} id */
const heading = (title, id) => h("p", { className: "merge-side", id }, title);

/**
 * @param {{ mine: string, theirs: string, name: string, width: number }} texts
 * @returns {Promise<Merge>}
 */
export async function makeMerge({ mine, theirs, name, width }) {
  const lib = await codeLibrary();
  if (!lib) return plain(mine, theirs);
  const support = await lib.languageOf(name).catch(() => null);
  return width >= WIDE ? sides(lib, support, mine, theirs) : unified(lib, support, mine, theirs);
}

/** @param {any} lib @param {any} support @param {string} label @param {boolean} writable */
function extensions(lib, support, label, writable) {
  return [
    common(lib), support ?? [], lib.EditorState.readOnly.of(!writable), lib.EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
    writable ? [lib.history(), lib.keymap.of(lib.historyKeymap)] : [],
  ];
}

/** @param {any} lib @param {any} support @param {string} mine @param {string} theirs @returns {Merge} */
function sides(lib, support, mine, theirs) {
  const host = h("div", { className: "merge-views code-host" });
  const view = new lib.MergeView({
    a: { doc: theirs, extensions: extensions(lib, support, t("edit.theirs"), false) },
    b: { doc: mine, extensions: extensions(lib, support, t("edit.mine"), true) },
    parent: host,
    revertControls: "a-to-b",
    collapseUnchanged: { margin: 3, minSize: 8 },
  });
  const element = h("div", { className: "merge" }, h("div", { className: "merge-heads" }, heading(t("edit.theirs"), "merge-theirs"), heading(t("edit.mine"), "merge-mine")), host);
  return {
    element,
    text: () => view.b.state.doc.toString(),
    setTheirs: (text) => view.a.dispatch({ changes: { from: 0, to: view.a.state.doc.length, insert: text } }),
    focus: () => view.b.focus(),
    destroy: () => view.destroy(),
  };
}

/** @param {any} lib @param {any} support @param {string} mine @param {string} theirs @returns {Merge} */
function unified(lib, support, mine, theirs) {
  const host = h("div", { className: "code-host" });
  const part = new lib.Compartment();
  const compared = (/** @type {string} */ text) => lib.unifiedMergeView({ original: text, mergeControls: true, collapseUnchanged: { margin: 3, minSize: 8 } });
  const state = lib.EditorState.create({ doc: mine, extensions: [extensions(lib, support, t("edit.mine"), true), part.of(compared(theirs))] });
  const view = new lib.EditorView({ parent: host, state });
  return {
    element: h("div", { className: "merge" }, heading(t("edit.unified"), "merge-mine"), host),
    text: () => view.state.doc.toString(),
    setTheirs: (text) => view.dispatch({ effects: part.reconfigure(compared(text)) }),
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

/** @param {string} mine @param {string} theirs @returns {Merge} */
function plain(mine, theirs) {
  const field = (/** @type {string} */ value, /** @type {string} */ label, /** @type {boolean} */ readOnly) =>
    h("textarea", { className: "code plain-code", value, readOnly, wrap: "off", spellcheck: false, "aria-label": label });
  const [left, right] = [field(theirs, t("edit.theirs"), true), field(mine, t("edit.mine"), false)];
  const heads = h("div", { className: "merge-heads" }, heading(t("edit.theirs"), "merge-theirs"), heading(t("edit.mine"), "merge-mine"));
  return {
    element: h("div", { className: "merge" }, heads, h("div", { className: "merge-fields" }, left, right)),
    text: () => right.value,
    setTheirs: (text) => { left.value = text; },
    focus: () => right.focus(),
    destroy() {},
  };
}
