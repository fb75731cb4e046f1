// Photographs every page and pane, in both themes and three widths, into docs/screens: STAITHE_BIN=… STAITHE_FAKE_MODEL=… node screens.mjs [NAME…]
// With names such as "cells log" only these. The panes of plugins and the log are played (screens-played.mjs).
// In the conversation the kernel is the one of tests/agent (target/tmp/jupyter), the browser this machine's, where they are there.

import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SLOW, openPage, scratch, signIn, startBrowser, startFakeModel, startServer } from "./helper.mjs";
import { PLAYED, pictures, play } from "./screens-played.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const to = path.join(root, "docs/screens");
const WIDTHS = [360, 1280, 2560];
const KERNEL = path.join(root, "target/tmp/jupyter");
const PANES = ["talk", "files", "terminal", "changes", "preview", "code", "cells", "browser", "timeline", "log"];
const asked = process.argv.slice(2);
const wanted = (name) => asked.length === 0 || asked.includes(name);

const data = scratch();
const model = await startFakeModel();
const config = path.join(data.folder, "screens.toml");
const shown = existsSync(KERNEL) ? [KERNEL, path.dirname(path.dirname(realpathSync(path.join(KERNEL, "bin/python"))))] : [];
writeFileSync(config, `[sandbox]\nplugins = ["jupyter", "browser"]\n[sandbox.local]\nread_only_paths = ${JSON.stringify(shown)}\n[plugins.jupyter]\npaths = ["${KERNEL}/bin/jupyter"]\n[agent]\nconfirm = "risky"\n`);
const server = await startServer({ dataDir: path.join(data.folder, "data"), env: { ...model.env, STAITHE_CONFIG: config } });
const browser = await startBrowser();
const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
const post = async (where, body) => (await fetch(`${server.url}${where}`, { method: "POST", headers, body: JSON.stringify(body) })).json();

const call = (name, args, more = {}) => ({ calls: [{ name, arguments: args }], ...more });
const bash = (command, more) => call("execute_bash", { command, security_risk: "LOW" }, more);
const PAGE = "<!doctype html><title>Harbour</title><body style='font:20px sans-serif'><h1>Tide table</h1><p>High water is at noon.</p>";
await model.say("tide", [
  { reasoning: "The program first, then its test.", ...bash("git init -q . && git config user.email ann@example.org && git config user.name Ann && printf 'def high_water(day):\\n    return 12 + day\\n' > tide.py && git add . && git commit -qm 'A first table' && ls", { text: "I begin with the table and keep it in git." }) },
  call("task_tracker", { command: "plan", task_list: [{ id: "1", title: "Write the table", status: "done" }, { id: "2", title: "Serve it", status: "in_progress" }] }),
  call("str_replace_editor", { command: "create", path: "/workspace/README.md", file_text: "# Tides\n\nThe table of the harbour: `python3 tide.py`.\n", security_risk: "LOW" }),
  bash(`printf 'def high_water(day):\\n    """The hour of high water."""\\n    return (12 + day) %% 24\\n' > tide.py; printf "%s" "${PAGE}" > index.html; (python3 -m http.server 8123 >/dev/null 2>&1 &); sleep 1; git status --short`),
  call("execute_ipython_cell", { code: "hours = [(12 + day) % 24 for day in range(7)]\nhours", security_risk: "LOW" }),
  call("browser", { code: "goto('http://127.0.0.1:8123/')" }),
  bash("rm -rf /workspace/old && echo gone", { text: "I clear what is old." }),
  call("finish", { message: "The table is served:\n\n- `tide.py` has the hours\n- `index.html` shows them" }),
]);
const { id } = await post("/api/sessions", { title: "The tide table", first_message: "tide: write the tide table and serve it" });
await post("/api/sessions", { title: "A second one" });

const page = await openPage(browser);
await signIn(page, server);
await page.goto(`${server.url}/sessions/${id}`);
await page.locator('#agent-bar:is([data-agent="finished"], [data-agent="awaiting_user_confirmation"], [data-agent="error"])').waitFor({ timeout: 2 * SLOW });
await page.goto(`${server.url}/sessions/${id}?pane=terminal`);
await page.getByRole("button", { name: "Open a terminal" }).click();
await page.locator("#pane-terminal .xterm").waitFor();
await page.waitForTimeout(1000);
await page.keyboard.type("ls -la --color; git log --oneline\n");
await page.waitForTimeout(1000);
const shots = await pictures(browser);
const state = await page.context().storageState();
await page.context().close();

mkdirSync(to, { recursive: true });
for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const width of WIDTHS) {
    const page = await openPage(browser, { colorScheme, storageState: state, viewport: { width, height: width < 500 ? 740 : Math.min(1440, Math.round(width * 0.6)) } });
    const shoot = async (name) => page.screenshot({ path: path.join(to, `${name}-${colorScheme}-${width}.jpg`), type: "jpeg", quality: 60, scale: "css" });
    if (wanted("sessions")) {
      await page.goto(`${server.url}/`);
      await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
      await shoot("sessions");
    }
    if (wanted("admin")) {
      await page.goto(`${server.url}/admin`);
      await page.locator(`[data-session="${id}"]`).waitFor();
      await page.waitForTimeout(1500);
      await shoot("admin");
    }
    for (const name of PANES.filter((one) => wanted(one) && !PLAYED.includes(one))) {
      if (name === "talk" && width > 1000) continue;
      await page.goto(`${server.url}/sessions/${id}?pane=${name}`);
      await page.locator('#connection[data-state="live"]').waitFor();
      await page.waitForTimeout(1200);
      if (name === "files") await page.getByRole("treeitem", { name: "tide.py" }).click();
      if (name === "changes") await page.getByRole("button", { name: "Unfold all" }).click();
      if (name === "timeline") await page.locator("#pane-timeline [role=option], #pane-timeline [role=row], #pane-timeline li").nth(4).click();
      await page.waitForTimeout(800);
      await shoot(name);
    }
    const played = PLAYED.filter(wanted);
    if (played.length > 0) await play(page, server, id, shots);
    for (const name of played) {
      await page.goto(`${server.url}/sessions/${id}?pane=${name}`);
      await page.locator('#connection[data-state="live"]').waitFor();
      await page.waitForTimeout(2000);
      await shoot(name);
    }
    await page.context().close();
  }
}
await browser.close();
await server.kill();
model.kill();
data.end();
