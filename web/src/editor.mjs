// The editor and the views of differences; a language comes when a file of it is opened.
export { EditorState, Compartment, StateEffect, StateField } from "@codemirror/state";
export {
  EditorView, keymap, lineNumbers, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, drawSelection, dropCursor,
  rectangularSelection, crosshairCursor, placeholder,
} from "@codemirror/view";
export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
export {
  StreamLanguage, bracketMatching, defaultHighlightStyle, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting,
} from "@codemirror/language";
export { closeBrackets, closeBracketsKeymap, autocompletion, completionKeymap } from "@codemirror/autocomplete";
export { highlightSelectionMatches, search, searchKeymap, openSearchPanel } from "@codemirror/search";
export { MergeView, unifiedMergeView, presentableDiff } from "@codemirror/merge";
export { tags } from "@lezer/highlight";

const stream = async (mode) => {
  const { StreamLanguage } = await import("@codemirror/language");
  return StreamLanguage.define(await mode);
};

/** What a file's ending or name asks for. @type {Record<string, () => Promise<any>>} */
const LANGUAGES = {
  javascript: async () => (await import("@codemirror/lang-javascript")).javascript({ jsx: true }),
  typescript: async () => (await import("@codemirror/lang-javascript")).javascript({ jsx: true, typescript: true }),
  python: async () => (await import("@codemirror/lang-python")).python(),
  rust: async () => (await import("@codemirror/lang-rust")).rust(),
  html: async () => (await import("@codemirror/lang-html")).html(),
  css: async () => (await import("@codemirror/lang-css")).css(),
  json: async () => (await import("@codemirror/lang-json")).json(),
  markdown: async () => (await import("@codemirror/lang-markdown")).markdown(),
  yaml: async () => (await import("@codemirror/lang-yaml")).yaml(),
  cpp: async () => (await import("@codemirror/lang-cpp")).cpp(),
  java: async () => (await import("@codemirror/lang-java")).java(),
  go: async () => (await import("@codemirror/lang-go")).go(),
  sql: async () => (await import("@codemirror/lang-sql")).sql(),
  xml: async () => (await import("@codemirror/lang-xml")).xml(),
  shell: () => stream(import("@codemirror/legacy-modes/mode/shell").then((m) => m.shell)),
  toml: () => stream(import("@codemirror/legacy-modes/mode/toml").then((m) => m.toml)),
  dockerfile: () => stream(import("@codemirror/legacy-modes/mode/dockerfile").then((m) => m.dockerFile)),
  ruby: () => stream(import("@codemirror/legacy-modes/mode/ruby").then((m) => m.ruby)),
  lua: () => stream(import("@codemirror/legacy-modes/mode/lua").then((m) => m.lua)),
  diff: () => stream(import("@codemirror/legacy-modes/mode/diff").then((m) => m.diff)),
  ini: () => stream(import("@codemirror/legacy-modes/mode/properties").then((m) => m.properties)),
};

const ENDINGS = {
  js: "javascript", mjs: "javascript", cjs: "javascript", jsx: "javascript", ts: "typescript", mts: "typescript", tsx: "typescript",
  py: "python", pyi: "python", rs: "rust", html: "html", htm: "html", vue: "html", svelte: "html", css: "css", scss: "css", json: "json", jsonl: "json",
  ipynb: "json", md: "markdown", markdown: "markdown", yaml: "yaml", yml: "yaml", c: "cpp", h: "cpp", cc: "cpp", cpp: "cpp", hpp: "cpp",
  java: "java", kt: "java", go: "go", sql: "sql", xml: "xml", svg: "xml", sh: "shell", bash: "shell", zsh: "shell", toml: "toml",
  rb: "ruby", lua: "lua", diff: "diff", patch: "diff", ini: "ini", cfg: "ini", conf: "ini", properties: "ini", env: "ini",
};
const NAMES = { dockerfile: "dockerfile", makefile: "shell", ".bashrc": "shell", ".gitconfig": "ini", "cargo.lock": "toml" };

/** The language of a file by its name, or null. @param {string} name */
export async function languageOf(name) {
  const lower = name.toLowerCase();
  const wanted = NAMES[lower] ?? (lower.startsWith("dockerfile") ? "dockerfile" : ENDINGS[lower.split(".").at(-1)]);
  return wanted ? LANGUAGES[wanted]() : null;
}
