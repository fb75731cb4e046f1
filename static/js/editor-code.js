// CodeMirror as the surface of the editor: in the page's language and colours, and under its Content-Security-Policy.

import { $, h, library } from "./dom.js";
import { PlainSurface } from "./editor-plain.js";
import { t } from "./i18n.js";

/** CodeMirror's own words, and the keys of ours. @type {Record<string, string>} */
const PHRASES = {
  Find: "find", Replace: "replace_with", next: "next", previous: "previous", all: "all", "match case": "match_case", regexp: "regexp", "by word": "by_word",
  replace: "replace", "replace all": "replace_all", close: "close", "current match": "current_match", "on line": "on_line",
  "replaced match on line $": "replaced_one", "replaced $ matches": "replaced_all", "Go to line": "go_to_line", go: "go", to: "to",
  "Folded lines": "folded_lines", "Unfolded lines": "unfolded_lines", "folded code": "folded_code", unfold: "unfold", "Fold line": "fold_line", "Unfold line": "unfold_line",
  "Selection deleted": "selection_deleted", "Control character": "control_character", Completions: "completions",
  "$ unchanged lines": "unchanged", "Revert this chunk": "revert", Accept: "accept", Reject: "reject",
};
/** Names of languages whose own is not how people write it. @type {Record<string, string>} */
const NAMES = { javascript: "JavaScript", typescript: "TypeScript", jsx: "JSX", tsx: "TSX", html: "HTML", css: "CSS", json: "JSON", xml: "XML", yaml: "YAML", sql: "SQL", cpp: "C++", toml: "TOML", properties: "INI" };
const TWO = new Set(["javascript", "typescript", "jsx", "tsx", "html", "css", "json", "xml", "yaml"]);

/** The library, or null: a part that can't be had is a plainer editor, not none. */
export const codeLibrary = () => library("editor").catch(() => null);

/** Colours of the page's sheet: light and dark are its own matter. @param {any} lib */
export function colours({ HighlightStyle, syntaxHighlighting, tags }) {
  const paint = (/** @type {string} */ name, /** @type {any[]} */ ...tag) => ({ tag, color: `var(--syn-${name})` });
  return syntaxHighlighting(HighlightStyle.define([
    paint("keyword", tags.keyword, tags.modifier, tags.operatorKeyword),
    paint("string", tags.string, tags.special(tags.string), tags.inserted),
    paint("number", tags.number, tags.bool, tags.null, tags.atom, tags.unit, tags.color),
    { ...paint("comment", tags.comment, tags.quote), fontStyle: "italic" },
    paint("function", tags.function(tags.variableName), tags.function(tags.propertyName), tags.definition(tags.function(tags.variableName)), tags.labelName),
    paint("type", tags.typeName, tags.className, tags.namespace, tags.standard(tags.variableName)),
    paint("property", tags.propertyName, tags.attributeName, tags.definition(tags.propertyName)),
    paint("tag", tags.tagName, tags.angleBracket, tags.deleted, tags.invalid),
    paint("meta", tags.meta, tags.regexp, tags.escape, tags.processingInstruction, tags.macroName, tags.self),
    { ...paint("function", tags.heading), fontWeight: "700" },
    { ...paint("function", tags.link, tags.url), textDecoration: "underline" },
    { tag: tags.strong, fontWeight: "700" },
    { tag: tags.emphasis, fontStyle: "italic" },
    { tag: tags.strikethrough, textDecoration: "line-through" },
  ]));
}

/** What every view needs here. @param {any} lib */
export function common(lib) {
  const { EditorState, EditorView } = lib;
  const phrases = Object.fromEntries(Object.entries(PHRASES).map(([own, key]) => [own, t(`edit.phrase.${key}`)]));
  return [
    EditorView.cspNonce.of($("session").dataset.nonce ?? ""), EditorState.phrases.of(phrases), colours(lib),
    lib.lineNumbers(), lib.highlightSpecialChars(), lib.drawSelection(), lib.highlightSelectionMatches(), lib.search({ top: true }),
    lib.keymap.of([...lib.searchKeymap, ...lib.defaultKeymap]),
  ];
}

/** What a text is indented with, else what its language is. @param {string} text @param {string} language */
function indentOf(text, language) {
  const starts = text.slice(0, 20000).match(/^(?:\t+| {2,8})(?=\S)/gm) ?? [];
  const tabs = starts.filter((start) => start.startsWith("\t")).length;
  if (tabs > starts.length / 2) return "\t";
  if (starts.length) return starts.some((start) => start.length % 4 === 2) ? "  " : "    ";
  return !language ? "\t" : TWO.has(language) ? "  " : "    ";
}

/** What differs between two texts, in pieces: what lies between them stays where it is. Of texts with little in common the pieces are large. @param {any} lib @param {string} before @param {string} after */
function differences(lib, before, after) {
  const found = lib.presentableDiff(before, after, { scanLimit: 500, timeout: 100 });
  return found.map((/** @type {any} */ { fromA, toA, fromB, toB }) => ({ from: fromA, to: toA, insert: after.slice(fromB, toB) }));
}

/** @typedef {import("./editor-plain.js").Surface} Surface */
/** @implements {Surface} */
class CodeSurface {
  language = "";
  #saved;
  #setting = false;
  #top = 1;

  /** @param {any} lib @param {any} support @param {import("./editor-plain.js").Options} options */
  constructor(lib, support, { text, label, writable, exact, edited, moved }) {
    const { EditorState, EditorView, Compartment, keymap } = lib;
    this.lib = lib;
    const own = String(support?.language?.name ?? support?.name ?? "");
    this.language = NAMES[own] ?? own.charAt(0).toUpperCase() + own.slice(1);
    this.writable = new Compartment();
    const unit = indentOf(text, own);
    this.element = h("div", { className: "code-host" });
    this.view = new EditorView({
      parent: this.element,
      state: EditorState.create({
        doc: text,
        extensions: [
          common(lib), this.writable.of(this.#may(writable)), exact ? EditorState.lineSeparator.of("\n") : [], lib.indentUnit.of(unit), EditorState.tabSize.of(4),
          lib.history(), lib.foldGutter(), lib.dropCursor(), lib.rectangularSelection(), lib.crosshairCursor(), EditorState.allowMultipleSelections.of(true),
          lib.indentOnInput(), lib.bracketMatching(), lib.closeBrackets(), lib.autocompletion({ activateOnTyping: false }),
          lib.highlightActiveLine(), lib.highlightActiveLineGutter(), support ?? [],
          keymap.of([...lib.closeBracketsKeymap, ...lib.historyKeymap, ...lib.foldKeymap, ...lib.completionKeymap, { key: "Tab", run: tab(unit) }, lib.indentWithTab]),
          EditorView.contentAttributes.of({ "aria-label": label, "aria-describedby": "editor-hint" }),
          EditorView.updateListener.of((/** @type {any} */ update) => {
            if (update.docChanged && !this.#setting) edited();
            if (update.docChanged || update.selectionSet) moved();
          }),
        ],
      }),
    });
    this.#saved = this.view.state.doc;
    const { scrollDOM } = this.view;
    scrollDOM.addEventListener("scroll", () => { // where it isn't shown it has no scroll
      const { documentPadding, defaultLineHeight, state } = this.view;
      const height = scrollDOM.scrollTop - documentPadding.top + defaultLineHeight / 2;
      if (scrollDOM.clientHeight > 0) this.#top = state.doc.lineAt(this.view.lineBlockAtHeight(height).from).number;
    }, { passive: true });
  }

  /** @param {boolean} writable */
  #may(writable) {
    return [this.lib.EditorState.readOnly.of(!writable), this.lib.EditorView.contentAttributes.of({ "aria-readonly": String(!writable), tabindex: "0" })];
  }

  text() {
    return this.view.state.doc.toString();
  }

  /** @param {string} text */
  setText(text) {
    this.#setting = true;
    const wanted = this.view.state.toText(text).toString();
    this.view.dispatch({ changes: differences(this.lib, this.text(), wanted), userEvent: "reload" }); // undone by itself, apart from what was typed before
    this.#setting = false;
  }

  /** @param {string} text */
  append(text) {
    this.#setting = true;
    this.view.dispatch({ changes: { from: this.view.state.doc.length, insert: text } });
    this.#setting = false;
  }

  keep() {
    this.#saved = this.view.state.doc;
  }

  changed() {
    return !this.view.state.doc.eq(this.#saved);
  }

  /** @param {number} line */
  reveal(line) {
    const { doc } = this.view.state;
    const { from } = doc.line(Math.max(1, Math.min(line, doc.lines)));
    this.view.dispatch({ selection: { anchor: from }, effects: this.lib.EditorView.scrollIntoView(from, { y: "center" }) });
  }

  top() {
    return this.#top;
  }

  /** @param {import("./editor-kept.js").At} at */
  goTo({ line, column, top }) {
    const { doc } = this.view.state;
    const lineOf = (/** @type {number} */ number) => doc.line(Math.max(1, Math.min(number, doc.lines)));
    const { from, to } = lineOf(line);
    this.view.dispatch({
      selection: { anchor: Math.max(from, Math.min(from + column - 1, to)) },
      effects: top > 1 ? this.lib.EditorView.scrollIntoView(lineOf(top).from, { y: "start", yMargin: 0 }) : [],
    });
  }

  focus() {
    this.view.focus();
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.view.dispatch({ effects: this.writable.reconfigure(this.#may(writable)) });
  }

  place() {
    const { doc, selection } = this.view.state;
    const { head } = selection.main;
    const line = doc.lineAt(head);
    const selected = selection.ranges.reduce((/** @type {number} */ sum, /** @type {any} */ range) => sum + range.to - range.from, 0);
    return { line: line.number, column: head - line.from + 1, selected };
  }

  destroy() {
    this.view.destroy();
    this.element.remove();
  }
}

/** Tab goes on to the next stop; with a selection it indents its lines. @param {string} unit */
const tab = (unit) => (/** @type {any} */ { state, dispatch }) => {
  const { main, ranges } = state.selection;
  if (state.readOnly || ranges.length > 1 || !main.empty) return false;
  const column = main.head - state.doc.lineAt(main.head).from;
  dispatch(state.replaceSelection(unit === "\t" ? unit : " ".repeat(unit.length - (column % unit.length))));
  return true;
};

/** @param {import("./editor-plain.js").Options} options @returns {Promise<Surface>} */
export async function makeSurface(options) {
  const lib = await codeLibrary();
  if (!lib) return new PlainSurface(options);
  return new CodeSurface(lib, await lib.languageOf(options.name).catch(() => null), options);
}
