// The agent in the page: a fake model says what it does, the rest is real.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { SLOW, assertClean, assertEachOnce, card, listIsThere, openPage, run, scratch, shoot, signIn, startBrowser, startFakeModel, startServer } from "./helper.mjs";
import { until } from "./edited.mjs";

const data = scratch();
/** @type {Awaited<ReturnType<typeof startFakeModel>>} */
let model;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<import("playwright-core").BrowserContext["storageState"]>>} */
let signedIn;

before(async () => {
  model = await startFakeModel();
  server = await startServer({ dataDir: data.folder, env: { ...model.env, STAITHE__AGENT__RETRIES__FIRST: "3s", STAITHE__AGENT__RETRIES__MOST: "1" } });
  browser = await startBrowser();
  const page = await openPage(browser);
  await signIn(page, server);
  signedIn = await page.context().storageState();
  await page.context().close();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  model?.kill();
  data.end();
});

/** One call of a tool as an answer. @param {string} name @param {object} args @param {object} [more] */
const call = (name, args, more = {}) => ({ calls: [{ name, arguments: args }], ...more });
/** @param {string} command @param {object} [more] @param {string} [risk] */
const bash = (command, more = {}, risk = "LOW") => call("execute_bash", { command, security_risk: risk }, more);
/** @param {string} message */
const finish = (message) => call("finish", { message });

/**
 * A page of a new session whose agent begins with this message.
 * @param {string} title @param {string} message @param {import("playwright-core").BrowserContextOptions} [options]
 */
async function begin(title, message, options = {}) {
  const page = await openPage(browser, { storageState: signedIn, ...options });
  await page.goto(server.url);
  await listIsThere(page);
  await page.locator("#new-title").fill(title);
  await page.locator("#new-message").fill(message);
  await page.locator("#new-submit").click();
  await page.waitForURL(/\/sessions\/[0-9a-f]{32}$/);
  return page;
}

/** @param {import("playwright-core").Page} page @param {string} state */
const agentIs = (page, state) => page.locator(`#agent-bar[data-agent="${state}"]`).waitFor({ timeout: SLOW });

/** Another tab of somebody who is signed in too. @param {import("playwright-core").Page} page */
async function another(page) {
  const tab = await openPage(browser, { storageState: signedIn });
  await tab.goto(page.url());
  return tab;
}

/** The newest question to the model whose first message has this marker. @param {string} marker */
async function lastAsked(marker) {
  const asked = (await model.asked()).filter((one) => JSON.stringify(one.body).includes(marker));
  return JSON.stringify(asked.at(-1)?.body ?? null);
}

test("an agent works live: its words are there before their event, then its cards, its plan and its end", { timeout: 4 * SLOW }, async () => {
  const tasks = [{ id: "1", title: "Look around", status: "done" }, { id: "2", title: "Write it down", status: "in_progress", notes: "in notes.txt" }];
  await model.say("harbour-live", [
    { reasoning: "First I look what is there.", ...bash("echo from-the-agent; ls", { text: "I will **list** the files, as `ls` shows them, slowly.", chunk: 4, hold_after: 14 }) },
    call("task_tracker", { command: "plan", task_list: tasks }),
    call("think", { thought: "The folder is empty, so I begin with *notes*." }),
    call("str_replace_editor", { command: "create", path: "/workspace/notes.txt", file_text: "one\ntwo\n", security_risk: "LOW" }),
    finish("All is written down:\n\n- `notes.txt` has it\n- nothing else changed <b>here</b>"),
  ]);
  const page = await begin("Live agent", "harbour-live: look around and write it down");
  await page.locator("#live .live-text", { hasText: "I will" }).waitFor({ timeout: SLOW });
  assert.equal(await page.locator("#events .of-agent").count(), 0, "the event isn't there yet");
  assert.equal(await page.locator("#live .reasoning").isVisible(), true, "its reasoning stands apart");
  assert.equal(await page.locator("#live .live-thoughts").isVisible(), false, "and is folded");
  await shoot(page, "agent-streaming");
  const late = await another(page);
  await late.locator("#live .live-text", { hasText: "I will list" }).waitFor({ timeout: SLOW });
  await page.reload();
  await page.locator("#live .live-text", { hasText: "I will list" }).waitFor({ timeout: SLOW });
  assert.equal(await page.locator("#live .live-text").innerText(), await late.locator("#live .live-text").innerText(), "nothing twice, nothing left out");
  await model.release();
  await late.locator("#events .of-agent").first().waitFor({ timeout: SLOW });
  assertClean(late);
  const shown = card(page, "echo from-the-agent");
  await shown.locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  assert.match((await shown.locator(".out").textContent()) ?? "", /from-the-agent/);
  assert.equal(await page.locator("#events .of-agent .thought strong").first().textContent(), "list");
  await agentIs(page, "finished");
  assert.equal(await page.locator("#live > li").isVisible(), false, "what was streamed is gone");
  await page.locator('.tasks [data-state="in_progress"]', { hasText: "Write it down" }).first().waitFor();
  await page.locator(".msg.thought em", { hasText: "notes" }).waitFor();
  const end = page.locator(".msg.agent", { hasText: "All is written down" });
  assert.equal(await end.locator("ul li").count(), 2);
  assert.equal(await end.locator("b").count(), 0, "markup in words stays words");
  assert.match((await page.locator("#agent-used").textContent()) ?? "", /^5 steps · 550 tokens · \$0\.01$/);
  await assertEachOnce(page, page.url().split("/").at(-1) ?? "");
  await shoot(page, "agent-finished");
  const message = page.locator("#box");
  assert.equal(await page.locator("#to-agent").isChecked(), true, "with a model, the box writes to the agent");
  await model.say("harbour-live", [{ text: "You are welcome." }]);
  await message.fill("Thank you");
  await message.press("Shift+Enter");
  await message.press("Enter");
  await page.locator(".msg.agent", { hasText: "You are welcome." }).waitFor({ timeout: SLOW });
  await agentIs(page, "awaiting_user_input");

  await page.goto(`${page.url()}?lang=zh-CN`);
  await page.locator(".msg.agent", { hasText: "You are welcome." }).waitFor();
  await agentIs(page, "awaiting_user_input");
  const text = await page.locator("#session").innerText();
  assert.match(text, /智能体：等待您的输入/);
  assert.match(text, /进行中/);
  assert.deepEqual(text.match(/\b(agent|agent_reason|talk|live|panel|consent|task|loop)\.[a-z_]+/g), null, "no key is left over");
  await shoot(page, "agent-zh");
  await page.setViewportSize({ width: 360, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
  await shoot(page, "agent-narrow-zh");
  assertClean(page);
});

test("what was streamed goes on over a lost connection, once, and is gone when its event came meanwhile", { timeout: 3 * SLOW }, async () => {
  await model.say("harbour-cut", [{ text: "These words come over two connections, each once. That is all.", chunk: 6, hold_after: 4 }]);
  const page = await openPage(browser, { storageState: signedIn });
  /** @type {import("playwright-core").WebSocketRoute[]} */
  const lines = [];
  let refuse = false;
  await page.routeWebSocket(/\/ws\?/, (line) => {
    if (refuse) return void line.close();
    lines.push(line);
    line.connectToServer();
  });
  await page.goto(server.url);
  await listIsThere(page);
  await page.locator("#new-title").fill("Cut");
  await page.locator("#new-message").fill("harbour-cut: talk");
  await page.locator("#new-submit").click();
  const words = page.locator("#live .live-text", { hasText: /^These words come o$/ });
  await words.waitFor({ timeout: SLOW });
  await lines.at(-1)?.close();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await page.locator('#connection[data-state="live"]').waitFor();
  await words.waitFor();
  refuse = true;
  await lines.at(-1)?.close();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await model.release();
  const session = page.url().split("/").at(-1) ?? "";
  const state = () => page.evaluate(async (at) => (await (await fetch(at)).json()).agent_state, `/api/sessions/${session}`);
  await until(state, (it) => it === "awaiting_user_input", "the agent waits");
  refuse = false;
  await page.locator(".msg.agent:not(.live)", { hasText: "each once. That is all." }).waitFor({ timeout: SLOW });
  await page.locator("#live > li").waitFor({ state: "hidden" });
  await assertEachOnce(page, session);
  assertClean(page);
});

test("a helper works under its own task, and brings back what it found", { timeout: 3 * SLOW }, async () => {
  await model.say("harbour-errand", [call("delegate", { task: "berth-survey: count the berths" }), finish("There are seven berths.")]);
  await model.say("berth-survey", [bash("echo seven"), finish("seven")]);
  const page = await begin("Errand", "harbour-errand: how many berths are there?");
  await agentIs(page, "finished");
  const helper = page.locator("#events > .act", { hasText: "Asks a helper" });
  await helper.locator('[data-outcome="ok"]').waitFor();
  assert.equal(await page.locator("#events > .helped").count(), 2, "its command and its end stand apart");
  await page.locator(".msg.agent:not(.helped)", { hasText: "There are seven berths." }).waitFor();
  await shoot(page, "agent-delegate");
  assertClean(page);
});

test("a second tab agrees to one step, a reason goes with a rejection, and a kind is agreed to once", { timeout: 4 * SLOW }, async () => {
  await model.say("harbour-ask", [
    bash("touch open.txt && chmod 777 open.txt && echo opened", {}, "HIGH"),
    bash("git push origin main", { text: "Now I publish it." }, "HIGH"),
    bash("chmod 777 open.txt && echo again", {}, "HIGH"),
    bash("chmod 777 open.txt && echo third", {}, "HIGH"),
    finish("Not published."),
  ]);
  const page = await begin("Consent", "harbour-ask: open the file and publish it");
  // While it loads, the page may be loaded again: a new sandbox's network breaks off what Chromium fetches.
  await page.locator('#connection[data-state="live"]').waitFor({ timeout: SLOW });
  await page.locator("#box").focus();
  await agentIs(page, "awaiting_user_confirmation");
  const asked = page.locator('#events [data-state="asks"]');
  await asked.locator(".consent", { hasText: "it opens permissions widely" }).waitFor();
  await page.keyboard.type("ak");
  assert.equal(await page.locator("#box").inputValue(), "ak", "the focus stays where it was, and letters go there");
  await page.locator("#box").fill("");
  await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement).blur());
  await page.keyboard.type("ak");
  await page.context().setOffline(true);
  await page.locator("#confirm-yes[disabled]").waitFor();
  await asked.locator(".consent", { hasText: "There is no connection now" }).waitFor();
  await page.context().setOffline(false);
  await page.locator("#confirm-yes:enabled").waitFor({ timeout: SLOW });
  await agentIs(page, "awaiting_user_confirmation"); // what the server says: no letter decided
  await asked.locator('[data-risk="2"]').waitFor();
  await shoot(page, "agent-consent");
  const other = await another(page);
  await other.setViewportSize({ width: 360, height: 740 });
  await other.locator("#confirm-yes").waitFor();
  await shoot(other, "agent-consent-narrow");
  await other.locator("#confirm-yes").click();
  for (const tab of [page, other]) {
    await card(tab, "echo opened").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
    await tab.locator("#events .consent", { hasText: "it pushes to another repository" }).waitFor({ timeout: SLOW });
  }
  await page.locator("#box").fill("half a sentence");
  await page.locator("#box").press("Control+.");
  assert.equal(await page.evaluate(() => document.activeElement?.className), "consent");
  await page.keyboard.press("r");
  await page.keyboard.type("Nobody asked for that");
  await page.keyboard.press("Enter");
  const rejected = page.locator('#events > :not(.minor) [data-outcome="rejected"]');
  await rejected.waitFor({ timeout: SLOW });
  await page.locator("#events .consent").waitFor({ timeout: SLOW });
  assert.match(await lastAsked("harbour-ask"), /Nobody asked for that/);
  await shoot(page, "agent-rejected");
  await page.locator("#confirm-all").click();
  await card(page, "echo third").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await agentIs(page, "finished");
  assert.equal(await page.locator("#box").inputValue(), "half a sentence", "nothing that was written is lost");
  await assertEachOnce(page, page.url().split("/").at(-1) ?? "");
  for (const tab of [page, other]) assertClean(tab);
});

test("a step is changed before it is agreed to: it runs as changed, and the agent is told", { timeout: 3 * SLOW }, async () => {
  await model.say("harbour-edit", [
    bash("chmod 777 quay.txt; echo as-the-agent-wrote", {}, "HIGH"),
    call("str_replace_editor", { command: "create", path: "/workspace/berth.txt", file_text: "seven\n", security_risk: "HIGH" }),
    finish("Done."),
  ]);
  const page = await begin("Edit", "harbour-edit: open it");
  await page.locator('#connection[data-state="live"]').waitFor({ timeout: SLOW });
  await agentIs(page, "awaiting_user_confirmation");
  await page.locator("#events .consent").waitFor();
  await page.locator("#box").press("Control+.");
  await page.keyboard.press("e");
  const command = page.getByLabel("Command", { exact: true });
  assert.equal(await command.inputValue(), "chmod 777 quay.txt; echo as-the-agent-wrote");
  assert.ok(await command.evaluate((box) => box === document.activeElement), "what is written goes there");
  await command.fill("echo <secret_hidden>");
  await command.press("Control+Enter");
  await page.locator("#events .consent", { hasText: "stands for a secret" }).waitFor();
  await agentIs(page, "awaiting_user_confirmation");
  await command.fill("echo as-a-person-wrote");
  await shoot(page, "agent-edit");
  await command.press("Control+Enter");
  const shown = card(page, "echo as-a-person-wrote");
  await shown.locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await shown.locator('[data-edited="command"]').waitFor();
  assert.equal((await shown.locator(".out").textContent())?.trim(), "as-a-person-wrote");
  assert.match(await lastAsked("harbour-edit"), /The user changed this call.*as-a-person-wrote/);

  await page.locator("#events .consent").waitFor({ timeout: SLOW });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.locator("#confirm-edit").click();
  await page.getByLabel("Text of the file").fill("eight\n");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
  await page.locator("#edit-run").scrollIntoViewIfNeeded();
  await shoot(page, "agent-edit-narrow");
  await page.locator("#edit-run").click();
  await agentIs(page, "finished");
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.locator("#to-agent").focus();
  await page.keyboard.press("Space");
  assert.match(await run(page, "cat berth.txt"), /eight/);
  assertClean(page);
});

test("stop ends an answer that never ends, pause and resume work, and a message waits its turn", { timeout: 4 * SLOW }, async () => {
  await model.say("harbour-stop", [{ text: "This goes on and on and on and on", chunk: 3, hold_after: 5 }]);
  const page = await begin("Stop", "harbour-stop: talk");
  await page.locator("#live .live-text", { hasText: "This" }).waitFor({ timeout: SLOW });
  await page.locator("#agent-stop").click();
  await agentIs(page, "stopped");
  await page.locator("#live > li").waitFor({ state: "hidden" });
  assert.equal(await page.locator(".msg.agent:not(.live)").count(), 0, "half an answer is no answer");
  await model.say("harbour-stop", [bash("sleep 30"), { text: "I am back." }]);
  await page.locator("#box").fill("go on");
  await page.locator("#box").press("Enter");
  await card(page, "sleep 30").waitFor({ timeout: SLOW });
  await page.locator("#composer-mode", { hasText: "after its present step" }).waitFor();
  await page.locator("#agent-pause").click();
  await agentIs(page, "paused");
  await shoot(page, "agent-paused");
  await page.locator("#agent-go").click();
  await page.locator(".msg.agent", { hasText: "I am back." }).waitFor({ timeout: SLOW });
  await agentIs(page, "awaiting_user_input");
  assertClean(page);
});

test("what a person can do about a model that fails is said, and limits go on with one click", { timeout: 4 * SLOW }, async () => {
  const limited = { status: 429, body: { error: { message: "slow down, please", type: "rate_limit_error" } } };
  await model.say("harbour-fail", [limited, { status: 401, body: { error: { message: "Incorrect API key provided", code: "invalid_api_key" } } }, bash("echo one"), bash("echo two"), finish("Done.")]);
  const page = await begin("Failing", "harbour-fail: try");
  await page.locator(".slim", { hasText: /Try 1 of 1/ }).waitFor({ timeout: SLOW });
  await agentIs(page, "error");
  await page.locator(".msg.error", { hasText: "The provider doesn't take the key" }).waitFor();
  assert.match((await page.locator("#agent-why").textContent()) ?? "", /doesn't take the model's key/);
  await shoot(page, "agent-error");
  await page.locator("#agent-panel").click();
  const limits = async () => (await (await page.request.get(page.url().replace("/sessions/", "/api/sessions/") + "/agent")).json()).limits;
  const before = await limits();
  await page.locator("#panel-steps").fill("1");
  await page.locator("#panel-cost").fill("");
  await page.locator("#panel-confirm").selectOption("never");
  await shoot(page, "agent-panel");
  await page.locator("dialog.panel button[type=submit]").click();
  await page.locator("dialog.panel").waitFor({ state: "detached" });
  assert.deepEqual(await limits(), { ...before, steps: 1 }, "an emptied field takes no limit away");
  await page.locator("#agent-go").click();
  await card(page, "echo one").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await agentIs(page, "paused");
  assert.match((await page.locator("#agent-why").textContent()) ?? "", /as many steps as this task may/);
  await shoot(page, "agent-limit");
  await page.locator("#agent-go").click();
  await card(page, "echo two").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  assertClean(page);
});

test("an agent that goes round in circles is stopped, and a person chooses the way out", { timeout: 3 * SLOW }, async () => {
  await model.say("harbour-loop", [...Array.from({ length: 4 }, () => bash("echo same")), { text: "Out of it." }]);
  const page = await begin("Loop", "harbour-loop: turn round");
  await agentIs(page, "error");
  await page.locator("#agent-why", { hasText: "it did the same four times" }).waitFor({ timeout: SLOW });
  assert.equal(await page.locator("#agent-go").isVisible(), false);
  await shoot(page, "agent-loop");
  await page.locator("#loop-1").click();
  await page.locator(".msg.agent", { hasText: "Out of it." }).waitFor({ timeout: SLOW });
  await page.locator("#events .fold summary", { hasText: "memory was condensed" }).click();
  await page.locator("#events .folded", { hasText: "Nothing is lost: the log has all" }).waitFor();
  await shoot(page, "agent-condensed");
  assertClean(page);
});

test("keys of models are set, checked and removed, and never shown", { timeout: 3 * SLOW }, async () => {
  const key = "sk-secret-of-this-test-4567";
  const page = await openPage(browser, { storageState: signedIn });
  await page.goto(server.url);
  await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" }); // before that a click is nobody's
  await page.locator("#models").click();
  const row = page.locator('dialog.models [data-model="anthropic"]');
  await page.locator('dialog.models [data-model="gemini"]').getByText("It has no key.").waitFor();
  await row.getByText("It needs no key.").waitFor(); // at an address of one's own
  await row.locator("input").fill(key);
  await row.locator("input").press("Enter");
  await row.getByText("ends with 4567").waitFor();
  assert.equal(await row.locator("input").inputValue(), "");
  await model.say("Answer with the one word", [{ text: "ready" }]);
  await row.getByRole("button", { name: "Check" }).click();
  await row.locator('[data-ok="true"]').waitFor({ timeout: SLOW });
  await shoot(page, "models");
  assert.ok(!(await page.content()).includes(key));
  await row.getByRole("button", { name: "Remove key" }).click();
  await page.locator('[data-choice="yes"]').click();
  await row.getByText("It needs no key.").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "models", "the focus is where it was");
  assertClean(page);
});

test("a viewer sees all and can change nothing", { timeout: 3 * SLOW }, async () => {
  await model.say("harbour-view", [bash("chmod 777 .", { text: "Open it." }, "HIGH"), finish("Fine.")]);
  const page = await begin("Watched", "harbour-view: open it");
  await agentIs(page, "awaiting_user_confirmation");
  const session = page.url().split("/").at(-1) ?? "";
  const made = await page.request.post(`${server.url}/api/sessions/${session}/tokens`, { data: { role: "viewer" }, headers: { authorization: `Bearer ${server.token}` } });
  const { token } = await made.json();
  const viewer = await openPage(browser);
  await viewer.goto(`${server.url}/login`);
  await viewer.locator("#token").fill(token);
  await viewer.locator("#token").press("Enter");
  await viewer.waitForURL((url) => !url.pathname.startsWith("/login"));
  await viewer.goto(page.url());
  await viewer.locator(".consent", { hasText: "it opens permissions widely" }).waitFor();
  for (const id of ["#confirm-yes", "#confirm-all", "#confirm-no"]) assert.ok(await viewer.locator(id).isDisabled(), id);
  for (const id of ["#agent-stop", "#agent-pause", "#agent-go"]) assert.equal(await viewer.locator(id).isVisible(), false, id);
  await viewer.locator("#agent-panel").click();
  assert.ok(await viewer.locator("#panel-model").isDisabled());
  assert.equal(await viewer.locator("dialog.panel button[type=submit]").isVisible(), false);
  await shoot(viewer, "agent-viewer");
  await page.locator("#confirm-yes").click();
  await viewer.keyboard.press("Escape");
  await viewer.locator(".msg.agent", { hasText: "Fine." }).waitFor({ timeout: SLOW });
  for (const tab of [page, viewer]) assertClean(tab);
});
