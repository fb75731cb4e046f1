// What the page of a session says holds now: of its agent, its model, its sandbox, and of where the composer writes to.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOW, assertClean, shoot } from "./helper.mjs";
import { played, stage } from "./played.mjs";

stage();

/** What the server says of a session's agent. @param {string | null} model */
const agentOf = (model) => ({ model, confirm: "risky", limits: { steps: 0, cost: 0, tokens: 0, time: 0 }, used: { steps: 0, cost: 0, input_tokens: 0, output_tokens: 0 } });

/** @param {import("playwright-core").Page} page @param {string | null} model */
async function has(page, model) {
  await page.route(/\/api\/sessions\/[0-9a-f]+\/agent$/, (route) => route.fulfill({ json: agentOf(model) }));
  await page.reload();
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.locator("#agent-panel", { hasText: model ?? "No model" }).waitFor();
}

test("with its sandbox there again, a paused agent is not said to lack one", { timeout: SLOW }, async () => {
  const { page, send, tell } = await played({ phase: "ready" });
  send({ observation: "agent_state_changed", content: "", extras: { agent_state: "paused", reason: "sandbox" } });
  tell({ phase: "stopped" });
  const bar = page.locator("#agent-bar");
  await bar.filter({ hasText: "There is no sandbox any more" }).waitFor();
  tell({ phase: "ready" });
  await bar.filter({ hasText: "the session is started again. Resume it" }).waitFor();
  assert.doesNotMatch(await bar.innerText(), /Start the session/);
  assert.ok(await page.locator("#agent-go").isVisible());
  assertClean(page);
  await page.context().close();
});

test("an agent without a model, or whose session failed, is neither ready nor loading", { timeout: SLOW }, async () => {
  const { page, tell } = await played({ phase: "ready" });
  await has(page, null);
  await page.locator("#agent-bar", { hasText: "Agent: no model Choose one, or set a key" }).waitFor();
  assert.equal(await page.locator("#agent").innerText(), "Agent: no model");
  await has(page, "gpt");
  await page.locator("#agent-bar", { hasText: "Agent: ready" }).waitFor();
  tell({ phase: "failed", fault: { code: "engine.lost", cause: "It broke.", remedy: "Start it again." } });
  await page.locator("#agent-bar", { hasText: "Agent: not started" }).waitFor();
  assert.equal(await page.locator("#agent").innerText(), "Agent: not started");
  assertClean(page);
  await page.context().close();
});

test("an error that a key puts right has the button to the keys; what has no words of its own has some", { timeout: SLOW }, async () => {
  const { page, send } = await played({ phase: "ready" });
  send({ observation: "error", content: "no key", extras: { error_id: "STATUS$ERROR_LLM_NOT_CONFIGURED" } });
  send({ observation: "error", content: "no money", extras: { error_id: "STATUS$ERROR_LLM_OUT_OF_CREDITS" } });
  send({ observation: "null", message: "No observation", content: "" });
  const cards = page.locator("#events > .msg.error");
  await cards.nth(1).waitFor();
  assert.equal(await cards.nth(1).getByRole("button", { name: "Models and keys" }).count(), 0);
  await shoot(page, "error-keys");
  await cards.nth(0).getByRole("button", { name: "Models and keys" }).click();
  await page.locator("dialog.models").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog.models").waitFor({ state: "detached" });
  await page.locator("#show-all").check();
  await page.locator("#events", { hasText: "Taken; there is nothing to show for it" }).waitFor();
  assert.doesNotMatch(await page.locator("#events").innerText(), /null/);
  assertClean(page);
  await page.context().close();
});

test("where the composer writes to is chosen once for a session, over reloads", { timeout: SLOW }, async () => {
  const { page } = await played({ phase: "ready" });
  const toAgent = page.locator("#to-agent");
  await has(page, "gpt");
  assert.ok(await toAgent.isChecked(), "the first time as there is a model");
  await toAgent.uncheck({ force: true });
  await has(page, "gpt");
  assert.ok(!(await toAgent.isChecked()), "commands, as chosen");
  await toAgent.check({ force: true });
  await has(page, null);
  assert.ok(await toAgent.isChecked(), "the agent, as chosen");
  assertClean(page);
  await page.context().close();
});
