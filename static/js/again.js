// Read before the modules, and none itself: a page whose modules did not all come is dead, so it is loaded again.
// Chromium breaks off what it is loading whenever the machine gets another network, as it does when a sandbox starts
// on it; one module that is missing is enough.
(() => {
  const KEY = "staithe.again";
  const MOST = 5;
  const FORGET = 60_000;
  let due = false;

  /** How often that was tried in a row. */
  function tries() {
    try {
      const { count, at } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
      return Date.now() - at < FORGET ? count : 0;
    } catch {
      return MOST; // nothing is remembered here: without a count there would be no end
    }
  }

  /** @param {Event} event */
  function failed({ target }) {
    const needed = (target instanceof HTMLScriptElement && target.type === "module") || (target instanceof HTMLLinkElement && target.rel === "stylesheet");
    if (!needed || due) return;
    due = true;
    const count = tries();
    if (count < MOST) {
      try {
        sessionStorage.setItem(KEY, JSON.stringify({ count: count + 1, at: Date.now() }));
        setTimeout(() => location.reload(), 250 * 2 ** count);
        return;
      } catch { /* told below */ }
    }
    const say = () => document.getElementById("unloaded")?.removeAttribute("hidden");
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", say);
    else say();
  }

  addEventListener("error", failed, true);
})();
