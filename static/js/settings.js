// On every page: the dialog of a person's settings, and what the palette offers everywhere.

import { complain } from "./dialog.js";
import { $, h, setText, sheet } from "./dom.js";
import { lang, t } from "./i18n.js";
import { fillModels, listModels, showModels } from "./models.js";
import { chime, mayNotify, setNotify } from "./notify.js";
import { openPalette, register, shownKeys } from "./palette.js";
import { applyTheme, pref, setLanguage, setPref, setTheme } from "./prefs.js";
import { signOut } from "./sign-out.js";
import { switchSession } from "./switcher.js";

const root = document.documentElement;
const signedIn = root.dataset.signedIn === "yes";
/** A link to one session makes none and has no keys; a page of a server that doesn't say so leaves it to the server. */
export const mayCreate = signedIn && !["viewer", "editor"].includes(root.dataset.role ?? "");
/** Whoever only watches is offered nothing that writes. */
export const mayWrite = root.dataset.role !== "viewer";
/** In their own words, so that whoever can't read the page finds the way out. @type {[string, string][]} */
const LANGUAGES = [["en", "English"], ["zh-CN", "中文"]];
const THEMES = /** @type {const} */ (["", "light", "dark"]);
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {string} title @param {...import("./dom.js").Child} parts */
const section = (title, ...parts) => h("fieldset", {}, h("legend", {}, title), ...parts);

/**
 * A choice of a few, all in sight.
 * @param {string} name @param {[string, string][]} options value and text @param {string} chosen @param {(value: string) => void} take
 */
function choice(name, options, chosen, take) {
  return h("div", { className: "choices" }, ...options.map(([value, text]) => {
    const input = h("input", { type: "radio", name, value, checked: value === chosen, className: "sr", on: { change: () => take(value) } });
    return h("label", { lang: name === "language" ? value : null }, input, h("span", {}, text));
  }));
}

/** @param {string} id @param {string} text @param {boolean} on @param {(on: boolean, box: HTMLInputElement) => void} take */
function tick(id, text, on, take) {
  const box = h("input", { id, type: "checkbox", checked: on });
  box.addEventListener("change", () => take(box.checked, box));
  return h("label", { className: "check" }, box, h("span", {}, text));
}

function notifications() {
  const state = h("p", { className: "help", role: "status" });
  const say = () => setText(state, mayNotify() === "" ? t("settings.notify_insecure") : mayNotify() === "denied" ? t("settings.notify_denied") : t("settings.notify_help"));
  const notify = tick("set-notify", t("settings.notify"), pref("notify") === "on" && mayNotify() === "granted", async (on, box) => {
    box.checked = await setNotify(on);
    say();
  });
  /** @type {HTMLInputElement} */ (notify.firstChild).disabled = ["", "denied"].includes(mayNotify());
  const sound = tick("set-sound", t("settings.sound"), pref("sound") === "on", (on) => {
    setPref("sound", on ? "on" : "");
    if (on) chime();
  });
  say();
  return section(t("settings.waiting"), notify, sound, state);
}

/** What a new session begins with, if nothing else is said. */
function beginnings() {
  const model = h("select", { id: "set-model" });
  const image = h("input", { id: "set-image", value: pref("image"), maxLength: 255, autocomplete: "off", spellcheck: false, placeholder: t("sessions.image_hint") });
  model.addEventListener("change", () => setPref("model", model.value));
  image.addEventListener("change", () => setPref("image", image.value.trim()));
  const fill = async () => {
    try {
      const { models, default: usual } = await listModels();
      fillModels(model, models, pref("model"), usual ? t("sessions.model_default", { name: usual }) : t("sessions.model_unknown"));
    } catch (error) {
      complain(error);
    }
  };
  fill();
  const keys = h("button", { type: "button", id: "set-keys", "aria-haspopup": "dialog", on: { click: async () => {
    await showModels();
    keys.focus();
    fill();
  } } }, t("models.open"));
  return section(t("settings.new_sessions"),
    h("div", { className: "field" }, h("label", { htmlFor: "set-model" }, t("sessions.model")), h("div", { className: "row nowrap" }, model, keys)),
    h("div", { className: "field" }, h("label", { htmlFor: "set-image" }, t("sessions.image")), image, h("p", { className: "help" }, t("settings.image_help"))));
}

/** Opens the dialog. */
export async function openSettings() {
  if (document.querySelector("dialog[open]")) return;
  await sheet("css/settings.css").catch(() => {}); // it works unadorned, too
  const close = h("button", { type: "button", on: { click: () => dialog.close() } }, t("action.close"));
  const themes = THEMES.map((one) => /** @type {[string, string]} */ ([one, t(`settings.theme_${one || "system"}`)]));
  const motion = h("p", { className: "help" });
  const sayMotion = () => setText(motion, t(still.matches ? "settings.still" : "settings.moves"));
  sayMotion();
  still.addEventListener("change", sayMotion);
  const dialog = h("dialog", { id: "settings", className: "settings", "aria-labelledby": "settings-title" },
    h("div", { className: "drawer-head" }, h("h2", { id: "settings-title" }, t("settings.title")), close),
    section(t("settings.language"), choice("language", LANGUAGES, lang, setLanguage)),
    section(t("settings.theme"), choice("theme", themes, pref("theme"), (value) => setTheme(/** @type {"" | "light" | "dark"} */ (value))), motion),
    mayCreate && beginnings(),
    signedIn && notifications(),
    section(t("settings.keyboard"),
      tick("set-letters", t("settings.letters"), pref("keys") !== "off", (on) => setPref("keys", on ? "" : "off")),
      h("p", { className: "help" }, t("settings.keyboard_help", { keys: shownKeys("Ctrl+K") }))),
    h("p", { className: "help" }, t("settings.kept")));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    still.removeEventListener("change", sayMotion);
    dialog.remove();
    document.dispatchEvent(new CustomEvent("staithe-settings"));
  }, { once: true });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

/** What the palette offers everywhere. */
function offer() {
  const go = t("palette.go");
  const page = t("palette.page");
  if (signedIn) {
    register({ id: "go-sessions", group: go, everywhere: true, title: t("palette.sessions"), when: () => location.pathname !== "/", run: () => location.assign("/") });
    register({ id: "switch-session", group: go, everywhere: true, title: t("palette.switch"), run: () => switchSession({ create: mayCreate }) });
    if (root.dataset.operator === "yes") register({ id: "go-admin", group: go, everywhere: true, title: t("palette.admin"), when: () => location.pathname !== "/admin", run: () => location.assign("/admin") });
  }
  if (mayCreate) {
    register({ id: "new-session", group: go, everywhere: true, title: t("sessions.new"), when: () => !$("new-session"), run: () => location.assign("/#new") });
    register({ id: "models-keys", group: page, everywhere: true, title: t("models.open"), run: showModels });
  }
  register({ id: "settings-open", group: page, everywhere: true, title: t("settings.title"), keys: "Ctrl+,", run: openSettings });
  register({ id: "palette-help", group: page, everywhere: true, title: t("palette.all"), keys: "?", when: () => !document.querySelector("[aria-keyshortcuts='?']"), run: openPalette });
  for (const theme of THEMES) {
    const name = theme || "system";
    register({ id: `theme-${name}`, group: page, everywhere: true, title: t("palette.theme", { name: t(`settings.theme_${name}`) }), when: () => pref("theme") !== theme, run: () => setTheme(theme) });
  }
  for (const [code, name] of LANGUAGES) {
    register({ id: `language-${code}`, group: page, everywhere: true, title: t("palette.language", { name }), when: () => lang !== code, run: () => setLanguage(code) });
  }
  if (signedIn) register({ id: "sign-out", group: page, everywhere: true, title: t("nav.sign_out"), run: signOut });
}

$("settings-open")?.addEventListener("click", openSettings);
$("palette-open")?.addEventListener("click", openPalette);
for (const caps of document.querySelectorAll("[data-keys]")) setText(/** @type {HTMLElement} */ (caps), shownKeys(/** @type {HTMLElement} */ (caps).dataset.keys ?? ""));
addEventListener("storage", ({ key }) => key === "staithe.theme" && applyTheme()); // chosen in another tab
offer();
