// What an image brings that is built with plugins, as a person has it in the session's page: VS Code through the proxy on
// the sandbox origin, in a tab and in its pane, and a Python kernel. Needs a Docker daemon (STAITHE_TEST_ENGINE=docker,
// STAITHE_TEST_DOCKER) and, for the build, the registries of Debian, Python and npm.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { SLOW, assertClean, docker, openPage, run, scratch, shoot, signIn, startBrowser, startServer, watch } from "../helper.mjs";

/** An image with VS Code is built in one to three minutes. */
const BUILD = 10 * 60_000;
const REPOSITORY = `staithe-test/browser-${process.pid}`;

const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;

const config = path.join(data.folder, "config.toml");
const authorities = path.join(data.folder, "ca");
const settings = `[sandbox]
base_container_image = "staithe-test/base:1"
plugins = ["vscode", "jupyter"]
[sandbox.image]
repository = "${REPOSITORY}"
ca_dir = "${authorities}"
[plugins]
deadline = "60s"
`;

/** @param {string} more lines of the configuration */
function start(more) {
  writeFileSync(config, `${settings}${more}`);
  return startServer({
    dataDir: data.folder,
    env: { STAITHE_CONFIG: config, STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE: "", STAITHE__SANDBOX__DOCKER__MEMORY: "2GiB" },
  });
}

before(async () => {
  mkdirSync(authorities);
  if (process.env.NODE_EXTRA_CA_CERTS) copyFileSync(process.env.NODE_EXTRA_CA_CERTS, path.join(authorities, "machine.crt"));
  server = await start("");
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
  const images = docker("images", "--quiet", REPOSITORY);
  if (images.length > 0) docker("rmi", "--force", ...images);
});

/** A port that nobody listens on now. @returns {Promise<number>} */
const freePort = () => new Promise((resolve, reject) => {
  const listener = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (listener.address());
    listener.close(() => resolve(port));
  });
});

/** An nginx as a person would set it up; each pair is where it listens and what is behind. @param {string} folder @param {[number, string][]} pairs */
async function startNginx(folder, pairs) {
  const home = path.join(folder, "nginx");
  mkdirSync(home);
  const servers = pairs.map(([port, behind]) => `server {
      listen 127.0.0.1:${port};
      location / {
        proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; client_max_body_size 0; proxy_read_timeout 1h;
        proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Prefix ''; proxy_set_header X-Forwarded-Port '';
        proxy_pass ${behind};
      }
    }`);
  writeFileSync(path.join(home, "nginx.conf"), `daemon off; pid nginx.pid; error_log stderr; events {}
    http {
      access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path c;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      ${servers.join("\n")}
    }`);
  const child = spawn("nginx", ["-p", home, "-e", "stderr", "-c", path.join(home, "nginx.conf")], { stdio: "ignore", env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.once("error", () => assert.fail("nginx is not here: apt-get install nginx-light"));
  for (const end = Date.now() + SLOW; ;) {
    const answers = await fetch(`http://127.0.0.1:${pairs[0][0]}/health`).then((answer) => answer.ok, () => false);
    if (answers) break;
    assert.ok(Date.now() < end && child.exitCode === null, "nginx answers");
  }
  return { end: async () => { child.kill("SIGQUIT"); const late = setTimeout(() => child.kill("SIGKILL"), 5000); await exited; clearTimeout(late); } };
}

/** A page of a new session, for which the image may have to be built. @param {string} title @param {(page: import("playwright-core").Page) => void} [prepare] */
async function newSession(title, prepare) {
  const page = await openPage(browser);
  prepare?.(page);
  await signIn(page, server);
  await page.getByLabel("Title").fill(title);
  await page.locator("#new-submit").click();
  await page.waitForURL(/\/sessions\/[0-9a-f]{32}$/);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: BUILD });
  return page;
}

/** @param {string} title */
async function fromThePage(title) {
  /** @type {string[]} */
  const told = [];
  const page = await newSession(title, (page) => page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    if (typeof payload === "string" && payload.includes('"type":"files"')) told.push(payload);
  })));
  assert.match(await run(page, "printf 'one\\n' > notes.txt; echo made"), /made/);

  const button = page.locator("#vscode");
  await button.waitFor();
  assert.equal(await button.textContent(), "VS Code");
  await button.focus();
  const opened = page.context().waitForEvent("page");
  await page.keyboard.press("Enter");
  const code = watch(await opened);
  code.setDefaultTimeout(SLOW);
  await code.waitForURL((url) => url.pathname.startsWith("/s/"), { timeout: SLOW });
  const there = new URL(code.url());
  assert.equal(there.origin, new URL(server.sandbox_url).origin, "another origin than the page's");
  assert.equal(await code.evaluate(() => globalThis.opener), null);

  const explorer = code.locator(".explorer-folders-view");
  await explorer.getByText("notes.txt", { exact: true }).dblclick({ timeout: SLOW });
  await code.locator(".monaco-editor .view-line", { hasText: "one" }).first().click({ timeout: SLOW });
  await code.keyboard.press("Control+End");
  await code.keyboard.type("two");
  await code.locator(".monaco-editor .view-line", { hasText: "two" }).first().waitFor();
  await code.keyboard.press("Control+s");
  // It also saves by itself after a while, so that there may be nothing to see of the saving.
  let saved = "";
  for (const end = Date.now() + SLOW; !saved.includes("two") && Date.now() < end;) saved = await run(page, `cat notes.txt # ${Date.now()}`);
  assert.match(saved, /one\ntwo/);
  await shoot(code, "vscode");
  assert.ok(!code.url().includes("ticket"), "the ticket does not stay in the address");

  // A new file: the page's tree shows it by itself, and the watcher's event names it.
  await explorer.hover();
  await code.locator(".action-label.codicon-new-file").first().click();
  await code.keyboard.type("made-there.txt");
  await code.keyboard.press("Enter");
  await page.locator("#tree").getByText("made-there.txt").waitFor({ timeout: SLOW });
  const deadline = Date.now() + SLOW;
  const names = () => ["notes.txt", "made-there.txt"].every((name) => told.some((frame) => frame.includes(name)));
  while (!names() && Date.now() < deadline) await page.waitForEvent("websocket", { timeout: 250 }).catch(() => undefined);
  assert.ok(names(), `the watcher told of ${told.join("\n")}`);
  assertClean(page);
  await shoot(page, "vscode-session");
  return { page, code, session: /** @type {string} */ (page.url().split("/").pop()) };
}

test("VS Code opens from the page, and what is saved there is seen in the page's tree and told by the watcher", { timeout: BUILD + 10 * SLOW }, async () => {
  await fromThePage("With an editor");
});

/** Opens a pane. @param {import("playwright-core").Page} page @param {string} name */
async function showIn(page, name) {
  await page.locator(`#tab-${name}`).click();
  const pane = page.locator(`#pane-${name}`);
  await pane.waitFor();
  return pane;
}

/** Asks the sandbox until a file has the words. @param {import("playwright-core").Page} page @param {string} file @param {RegExp} words */
async function fileHas(page, file, words) {
  let content = "";
  for (const end = Date.now() + SLOW; !words.test(content) && Date.now() < end;) content = await run(page, `cat ${file} # ${Date.now()}`);
  assert.match(content, words);
}

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==";

test("VS Code stands in the session's own pane, and cells run in its kernel", { timeout: BUILD + 10 * SLOW }, async () => {
  const page = await newSession("With panes");
  await run(page, "printf 'one\\n' > notes.txt");
  const pane = await showIn(page, "code");
  const frame = pane.frameLocator("iframe");
  await frame.locator(".monaco-workbench").waitFor({ timeout: SLOW });
  await frame.locator(".explorer-folders-view").getByText("notes.txt", { exact: true }).dblclick({ timeout: SLOW });
  await frame.locator(".monaco-editor .view-line", { hasText: "one" }).first().click({ timeout: SLOW });
  await page.keyboard.press("Control+End");
  await page.keyboard.type("from the pane");
  await frame.locator(".monaco-editor .view-line", { hasText: "from the pane" }).first().waitFor();
  await page.keyboard.press("Control+s");
  await fileHas(page, "notes.txt", /one\nfrom the pane/);
  await page.locator("#tab-files").click();
  await page.locator("#tab-code").click();
  await frame.locator(".monaco-editor .view-line", { hasText: "from the pane" }).first().waitFor(); // it is as it was left
  await shoot(page, "vscode-pane");

  const cells = await showIn(page, "cells");
  const box = cells.getByLabel("Python code");
  /** @param {string} code */
  const cell = async (code) => {
    const before = await cells.locator(".cell").count();
    await box.fill(code);
    await box.press("Shift+Enter");
    await cells.locator(".cell").nth(before).and(cells.locator("[data-state=done]")).waitFor({ timeout: SLOW });
    return cells.locator(".cell").nth(before);
  };
  assert.match(await (await cell("six = 6\nfor n in range(3): print('line', n)\nopen('notes.txt').read()")).locator(".out").innerText(), /line 0\nline 1\nline 2\n.*from the pane/s);
  const shown = await cell(`import base64\nfrom IPython.display import Image\nprint(six * 7)\nImage(base64.b64decode("${PNG}"), format="png")`);
  assert.match(await shown.locator(".out").innerText(), /^42$/m);
  assert.equal(await shown.locator("img").evaluate((img) => /** @type {HTMLImageElement} */ (img).decode().then(() => /** @type {HTMLImageElement} */ (img).naturalWidth)), 3);
  assert.match(await (await cell("six / 0")).locator(".out").innerText(), /ZeroDivisionError/);
  await box.fill("import time\nprint('begun', flush=True)\ntime.sleep(600)");
  await box.press("Shift+Enter");
  const long = cells.locator(".cell").last();
  await long.locator(".out", { hasText: "begun" }).waitFor({ timeout: SLOW });
  await cells.getByRole("button", { name: "Interrupt" }).click();
  await long.locator(".out", { hasText: "KeyboardInterrupt" }).waitFor({ timeout: SLOW });
  await shoot(page, "vscode-cells");
  assertClean(page);
});

test("behind an nginx all of it is the same, and a Jupyter server is there whole", { timeout: BUILD + 10 * SLOW }, async () => {
  await server.kill();
  const [control, sandbox] = [await freePort(), await freePort()];
  server = await start(`[server]
control_url = "http://127.0.0.1:${control}"
sandbox_url = "http://127.0.0.1:${sandbox}"
trusted_proxies = ["127.0.0.1"]
`);
  const nginx = await startNginx(data.folder, [[control, server.url], [sandbox, server.sandbox_url]]);
  try {
    server = { ...server, url: `http://127.0.0.1:${control}`, sandbox_url: `http://127.0.0.1:${sandbox}` };
    const { page, code, session } = await fromThePage("Behind an nginx");
    const port = 8899;
    const start = `(KG_AUTH_TOKEN=secret /opt/staithe/jupyter/bin/jupyter kernelgateway --KernelGatewayApp.port=${port} > gateway.log 2>&1 &) ; echo begun`;
    assert.match(await run(page, start), /begun/);
    // As a notebook's page would: its requests and its WebSocket, below the prefix, from the sandbox origin.
    const said = await code.evaluate(async ({ base, patience }) => {
      const headers = { Authorization: "token secret" };
      const end = Date.now() + patience;
      let answer = await fetch(`${base}/api`, { headers });
      while (answer.status !== 200 && Date.now() < end) answer = await fetch(`${base}/api`, { headers });
      const made = await fetch(`${base}/api/kernels`, { method: "POST", headers, body: JSON.stringify({ name: "python3" }) });
      const kernel = await made.json();
      const socket = new WebSocket(`${base.replace("http", "ws")}/api/kernels/${kernel.id}/channels?token=secret`);
      await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
      const header = { msg_id: "m", msg_type: "execute_request", username: "", session: "s", version: "5.3" };
      const content = { code: "6 * 7", silent: false, store_history: true, user_expressions: {}, allow_stdin: false };
      const result = new Promise((resolve) => {
        socket.onmessage = ({ data }) => {
          const message = JSON.parse(data);
          if (message.msg_type === "execute_result") resolve(message.content.data["text/plain"]);
        };
      });
      socket.send(JSON.stringify({ header, parent_header: {}, metadata: {}, channel: "shell", content, buffers: [] }));
      const text = await result;
      socket.close();
      const gone = await fetch(`${base}/api/kernels/${kernel.id}`, { method: "DELETE", headers });
      return { made: made.status, text, gone: gone.status };
    }, { base: `${server.sandbox_url}/s/${session}/p/${port}`, patience: SLOW });
    assert.deepEqual(said, { made: 201, text: "42", gone: 204 });
  } finally {
    await nginx.end();
  }
});
