// Who is not, or no more, to do something here: somebody who only watches, by a link that is revoked; a session that is deleted elsewhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOW, assertClean, openPage, shoot } from "./helper.mjs";
import { browser, server, signedIn, stage } from "./played.mjs";

stage();

/** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
async function api(method, path, body) {
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
  const answer = await fetch(`${server.url}/api/sessions${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

/** A page of somebody who came by a link. @param {string} id */
async function guest(id) {
  const link = await api("POST", `/${id}/links`, { role: "viewer" });
  const page = await openPage(browser);
  await page.goto(link.url);
  await page.locator('#connection[data-state="live"]').waitFor();
  return { page, link: link.id };
}

test("a viewer is offered nothing that writes, in the list and in the workspace", { timeout: SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Watched" });
  const { page } = await guest(id);
  for (const one of ["#stop", "#delete", "#rename", "#share", "#fault-start"]) assert.equal(await page.locator(one).isVisible(), false, one);
  await page.goto(server.url);
  const row = page.locator(`[data-session="${id}"]`);
  await row.waitFor();
  for (const act of ["rename", "start", "stop", "delete"]) assert.equal(await row.locator(`[data-act="${act}"]`).isVisible(), false, act);
  assert.equal(await page.locator("#key-rename").isVisible(), false, "nor the key for it");
  for (const key of ["F2", "Delete"]) {
    await row.locator("a").press(key);
    assert.equal(await page.locator("dialog").count(), 0, key);
  }
  assertClean(page);
  await page.context().close();
});

test("a link that is revoked under somebody's eyes is told where they look", { timeout: SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Revoked" });
  const { page, link } = await guest(id);
  await api("DELETE", `/${id}/links/${link}`);
  await page.locator("#ended", { hasText: "was revoked, or has expired" }).waitFor();
  assert.equal(new URL(page.url()).pathname, `/sessions/${id}`);
  assert.equal(await page.locator("#connection").innerText(), "Ended");
  assert.equal(await page.locator("#ended a").isVisible(), false, "there is no list for them");
  await shoot(page, "link-revoked");
  await page.reload();
  await page.locator(".error-page", { hasText: "auth.link_over" }).waitFor();
  assert.equal(new URL(page.url()).pathname, `/sessions/${id}`, "nobody is sent to a sign-in that is not for them");
  await page.getByRole("link", { name: "sign-in" }).or(page.locator(".error-page a.button")).first().waitFor();
  assertClean(page);
  await page.context().close();
});

test("a session that is deleted elsewhere says so where it is open, and leads to the list", { timeout: SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Deleted elsewhere" });
  const page = await openPage(browser, { storageState: signedIn });
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await api("DELETE", `/${id}`);
  await page.locator("#ended", { hasText: "This session was deleted." }).waitFor();
  assert.equal(new URL(page.url()).pathname, `/sessions/${id}`);
  for (const one of ["#stop", "#delete", "#phase", "#rename", "#share"]) assert.equal(await page.locator(one).isVisible(), false, one);
  assert.equal(await page.locator("#composer").isVisible(), false);
  await shoot(page, "session-deleted");
  await page.locator("#ended a").click();
  await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
  assertClean(page);
  await page.context().close();
});

test("without JavaScript a session's page says what it needs, and does not pretend to connect", { timeout: SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn, javaScriptEnabled: false });
  const { id } = await api("POST", "", { title: "Plain" });
  for (const path of ["/", `/sessions/${id}`]) {
    await page.goto(server.url + path);
    const box = await page.locator("p.noscript.alert").boundingBox();
    assert.ok(box && box.y < 200, `${path}: it stands at the top`);
    assert.equal(await page.getByText("Connecting…").isVisible(), false, path);
  }
  await shoot(page, "no-script");
  await page.context().close();
});

test("a link that is none says so in the page's language", { timeout: SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Linked" });
  const { url } = await api("POST", `/${id}/links`, { role: "viewer" });
  const page = await openPage(browser, { locale: "zh-CN" });
  await page.goto(url.replace(/.{12}$/, "nothingatall"));
  const text = await page.locator("main").innerText();
  assert.match(text, /令牌无效/);
  assert.doesNotMatch(text, /token is not/);
  assertClean(page);
  await page.context().close();
});

test("a session that failed is started again from the list", { timeout: SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Failed" });
  const page = await openPage(browser, { storageState: signedIn });
  let failed = true;
  await page.route("**/api/sessions?*", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    for (const one of body.sessions) if (one.id === id && failed) Object.assign(one, { phase: "failed", agent_state: "loading", fault: { code: "engine.lost", cause: "It broke.", remedy: "Start it again." } });
    await route.fulfill({ json: body });
  });
  await page.goto(server.url);
  const again = page.locator(`[data-session="${id}"]`).getByRole("button", { name: "Start again" });
  const [asked] = await Promise.all([page.waitForRequest(new RegExp(`/${id}/start$`)), again.click()]);
  assert.equal(asked.method(), "POST");
  failed = false;
  await again.waitFor({ state: "hidden" });
  assertClean(page);
  await page.unrouteAll({ behavior: "ignoreErrors" }); // one may be asking just now
  await page.context().close();
});

test("who signs out leaves nothing of a session in the browser", { timeout: SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Left behind" });
  const page = await openPage(browser, { storageState: signedIn });
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.locator("#box").fill("a secret plan");
  await page.waitForFunction(() => JSON.stringify({ ...localStorage, ...sessionStorage }).includes("a secret plan"));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/\/login/);
  const left = await page.evaluate(async () => JSON.stringify({ ...localStorage, ...sessionStorage, bases: await indexedDB.databases() }));
  assert.doesNotMatch(left, /secret plan/);
  assertClean(page);
  await page.context().close();
});
