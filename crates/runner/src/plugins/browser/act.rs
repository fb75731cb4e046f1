//! Carries calls out on the page that is looked at.

use std::{path::Path, rc::Rc, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{cdp::Cdp, keys, script::Call};

/// How long one call may take; the reference's.
const STEP: Duration = Duration::from_secs(30);
/// A page that goes on loading is looked at as it is after this time.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks at a page that loads; it is ready when it was so twice.
const LOOK_AGAIN: Duration = Duration::from_millis(60);
/// A page takes an event within it, or goes on without a word.
const TAKEN: Duration = Duration::from_secs(2);
/// A server that doesn't begin to answer within it is given up.
const ANSWER: Duration = Duration::from_secs(15);
/// The longest that `noop` waits.
const MOST_WAIT_MS: f64 = 20_000.0;
/// What runs in the page, apart from the page's own scripts.
const PAGE: &str = include_str!("page.js");
const WORLD: &str = "staithe";
/// Addresses that can be opened begin so.
const SCHEMES: [&str; 5] = ["http://", "https://", "file://", "about:", "data:"];

/// One who acts.
pub(super) struct Hand {
    pub cdp: Rc<Cdp>,
    /// Relative paths are seen from here.
    pub folder: String,
    /// What was said to the user.
    pub said: std::cell::RefCell<Vec<String>>,
}

impl Hand {
    /// Carries one call out, and waits for what it does to the page.
    pub(super) async fn carry_out(&self, call: &Call) -> Result<(), String> {
        let done = async {
            self.step(call).await?;
            self.settle().await
        };
        timeout(STEP, done).await.unwrap_or_else(|_| {
            Err(format!("{} did not end within {} s.", call.name, STEP.as_secs()))
        })
    }

    async fn step(&self, call: &Call) -> Result<(), String> {
        let value = |at: usize| call.values.get(at).unwrap_or(&Value::Null);
        let text = |at: usize| match value(at) {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(format!("{}: {other} is no text.", call.name)),
        };
        let number = |at: usize| {
            value(at).as_f64().ok_or_else(|| format!("{}: {} is no number.", call.name, value(at)))
        };
        match call.name {
            "noop" => {
                let wait = value(0).as_f64().unwrap_or(1000.0).clamp(0.0, MOST_WAIT_MS);
                sleep(Duration::from_secs_f64(wait / 1000.0)).await;
                Ok(())
            }
            "goto" => self.goto(&text(0)?).await,
            "go_back" => self.travel(-1).await,
            "go_forward" => self.travel(1).await,
            "click" => self.click(&text(0)?, value(1), value(2), 1).await,
            "dblclick" => self.click(&text(0)?, value(1), value(2), 2).await,
            "hover" => {
                let (x, y) = self.point(&text(0)?).await?;
                self.mouse(&json!({ "type": "mouseMoved", "x": x, "y": y })).await
            }
            "focus" => self.page("focus", &text(0)?, &Value::Null).await.map(drop),
            "clear" => self.fill(&text(0)?, "").await,
            "fill" => self.fill(&text(0)?, &text(1)?).await,
            "press" => {
                self.page("focus", &text(0)?, &Value::Null).await?;
                self.press(&text(1)?).await
            }
            "keyboard_press" => self.press(&text(0)?).await,
            "keyboard_type" => self.type_text(&text(0)?).await,
            "select_option" => {
                let wanted = match value(1) {
                    Value::Array(all) => Value::Array(all.clone()),
                    one => json!([one]),
                };
                self.page("options", &text(0)?, &wanted).await.map(drop)
            }
            "scroll" => self.scroll(number(0)?, number(1)?).await,
            "drag_and_drop" => self.drag(&text(0)?, &text(1)?).await,
            "upload_file" => self.upload(&text(0)?, value(1)).await,
            "new_tab" => {
                let count = self.cdp.tabs.borrow().all.len();
                self.cdp.call(None, "Target.createTarget", json!({ "url": "about:blank" })).await?;
                self.until(|tabs| tabs > count).await
            }
            "tab_close" => self.close_tab().await,
            "tab_focus" => self.focus_tab(value(0)).await,
            "send_msg_to_user" => {
                self.say(format!("[Message to the user: {}]", text(0)?));
                Ok(())
            }
            "report_infeasible" => {
                self.say(format!("[Reported as infeasible: {}]", text(0)?));
                Ok(())
            }
            other => Err(format!("There is no call {other:?}.")),
        }
    }

    fn say(&self, text: String) {
        self.said.borrow_mut().push(text);
    }

    /// The page that is looked at: its session and its main frame.
    pub(super) fn current(&self) -> Result<(String, String), String> {
        let tabs = self.cdp.tabs.borrow();
        let tab = tabs.current().ok_or("There is no open page.")?;
        if tab.crashed {
            return Err("The page crashed; open it again with goto.".to_owned());
        }
        Ok((tab.session.clone(), tab.target.clone()))
    }

    /// Asks the page that is looked at.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let session = match self.cdp.tabs.borrow().current() {
            Some(tab) => tab.session.clone(),
            None => return Err("There is no open page.".to_owned()),
        };
        self.cdp.call(Some(&session), method, params).await
    }

    /// Runs an operation of `page.js` in a world of its own, which no script of the page reaches.
    pub(super) async fn page(
        &self,
        op: &str,
        first: &str,
        second: &Value,
    ) -> Result<Value, String> {
        let expression = format!("({PAGE})({}, {}, {second})", json!(op), json!(first));
        let told = self.evaluate(&expression, true).await?;
        let value = told["value"].clone();
        match value["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(value),
        }
    }

    async fn evaluate(&self, expression: &str, by_value: bool) -> Result<Value, String> {
        let (session, frame) = self.current()?;
        let world = json!({ "frameId": frame, "worldName": WORLD });
        let world = self.cdp.call(Some(&session), "Page.createIsolatedWorld", world).await?;
        let params = json!({
            "expression": expression,
            "contextId": world["executionContextId"],
            "returnByValue": by_value,
        });
        let mut told = self.cdp.call(Some(&session), "Runtime.evaluate", params).await?;
        if let Some(details) = told.get("exceptionDetails") {
            let text = details["exception"]["description"].as_str().unwrap_or("an exception");
            return Err(format!(
                "The page could not be asked: {}",
                text.lines().next().unwrap_or(text)
            ));
        }
        Ok(told["result"].take())
    }

    pub(super) async fn goto(&self, url: &str) -> Result<(), String> {
        let lower = url.trim().to_ascii_lowercase();
        if !SCHEMES.iter().any(|scheme| lower.starts_with(scheme)) {
            return Err(format!("{url:?} is no address: it must begin with http:// or https://."));
        }
        if self.cdp.tabs.borrow().all.is_empty() {
            self.cdp.call(None, "Target.createTarget", json!({ "url": "about:blank" })).await?;
            self.until(|tabs| tabs > 0).await?;
        }
        let downloads = self.cdp.tabs.borrow().downloads.len();
        let asked = timeout(ANSWER, self.ask("Page.navigate", json!({ "url": url.trim() }))).await;
        let Ok(told) = asked else {
            self.ask("Page.stopLoading", json!({})).await?;
            return Err(format!("{url} did not answer within {} s.", ANSWER.as_secs()));
        };
        let told = told?;
        let began = self.cdp.tabs.borrow().downloads.len() > downloads;
        match told["errorText"].as_str() {
            // Such an address is no page, and the page before stays.
            Some("net::ERR_ABORTED") if began || told["isDownload"] == true => Ok(()),
            Some(error) => Err(format!("{url} can't be opened: {error}.")),
            None => Ok(()),
        }
    }

    async fn travel(&self, by: i64) -> Result<(), String> {
        let history = self.ask("Page.getNavigationHistory", json!({})).await?;
        let at = history["currentIndex"].as_i64().unwrap_or(0) + by;
        let entry = usize::try_from(at).ok().and_then(|at| history["entries"].get(at));
        let entry = entry.ok_or("There is no page to go to in the history.")?;
        self.ask("Page.navigateToHistoryEntry", json!({ "entryId": entry["id"] })).await?;
        // It begins a little later.
        sleep(LOOK_AGAIN).await;
        Ok(())
    }

    async fn point(&self, bid: &str) -> Result<(f64, f64), String> {
        let point = self.page("point", bid, &Value::Null).await?;
        let axis = |name: &str| point[name].as_f64().ok_or("The element has no place.");
        Ok((axis("x")?, axis("y")?))
    }

    /// A page that goes into the background by it never says that it has taken an event; it has.
    async fn mouse(&self, params: &Value) -> Result<(), String> {
        let taken = self.ask("Input.dispatchMouseEvent", params.clone());
        timeout(TAKEN, taken).await.map_or(Ok(()), |taken| taken.map(drop))
    }

    async fn click(
        &self,
        bid: &str,
        button: &Value,
        modifiers: &Value,
        times: u32,
    ) -> Result<(), String> {
        let button = button.as_str().unwrap_or("left");
        if !matches!(button, "left" | "middle" | "right") {
            return Err(format!(
                "There is no button {button:?}: there are left, middle and right."
            ));
        }
        let mut held = 0;
        for name in modifiers.as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            held |=
                keys::modifier(name).ok_or_else(|| format!("There is no key {name:?} to hold."))?;
        }
        let (x, y) = self.point(bid).await?;
        self.mouse(&json!({ "type": "mouseMoved", "x": x, "y": y, "modifiers": held })).await?;
        for count in 1..=times {
            for kind in ["mousePressed", "mouseReleased"] {
                self.mouse(&json!({
                    "type": kind, "x": x, "y": y, "button": button, "clickCount": count, "modifiers": held,
                }))
                .await?;
            }
        }
        Ok(())
    }

    async fn drag(&self, from: &str, to: &str) -> Result<(), String> {
        let (x, y) = self.point(from).await?;
        self.mouse(&json!({ "type": "mouseMoved", "x": x, "y": y })).await?;
        self.mouse(
            &json!({ "type": "mousePressed", "x": x, "y": y, "button": "left", "clickCount": 1 }),
        )
        .await?;
        let (to_x, to_y) = self.point(to).await?;
        for part in [0.5, 1.0] {
            let (x, y) = (x + (to_x - x) * part, y + (to_y - y) * part);
            self.mouse(
                &json!({ "type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": 1 }),
            )
            .await?;
        }
        self.mouse(&json!({
            "type": "mouseReleased", "x": to_x, "y": to_y, "button": "left", "clickCount": 1,
        }))
        .await
    }

    async fn fill(&self, bid: &str, text: &str) -> Result<(), String> {
        let kind = self.page("kind", bid, &Value::Null).await?;
        let kind = kind["type"].as_str().unwrap_or_default();
        // These have no text that could be typed.
        if matches!(kind, "date" | "time" | "datetime-local" | "month" | "week" | "color" | "range")
        {
            let set = self.page("set", bid, &json!(text)).await?;
            let is_set = set["same"] == true;
            return if is_set {
                Ok(())
            } else {
                Err(format!("The element {bid} does not take {text:?}."))
            };
        }
        let field = self.page("select", bid, &Value::Null).await?;
        if !text.is_empty() {
            self.ask("Input.insertText", json!({ "text": text })).await?;
        } else if field["clear"] == true {
            self.press("Delete").await?;
        }
        self.page("changed", bid, &Value::Null).await.map(drop)
    }

    async fn type_text(&self, text: &str) -> Result<(), String> {
        self.ask("Input.insertText", json!({ "text": text })).await.map(drop)
    }

    async fn press(&self, text: &str) -> Result<(), String> {
        let press = keys::press(text)?;
        let kind = if press.text.is_some() { "keyDown" } else { "rawKeyDown" };
        let mut event = json!({
            "type": kind, "key": press.key, "code": press.code, "modifiers": press.modifiers,
            "windowsVirtualKeyCode": press.number,
        });
        if let Some(text) = &press.text {
            event["text"] = text.as_str().into();
        }
        if press.modifiers & 2 != 0 && press.key.eq_ignore_ascii_case("a") {
            event["commands"] = json!(["selectAll"]);
        }
        self.ask("Input.dispatchKeyEvent", event.clone()).await?;
        event["type"] = "keyUp".into();
        if let Some(event) = event.as_object_mut() {
            event.remove("text");
            event.remove("commands");
        }
        self.ask("Input.dispatchKeyEvent", event).await.map(drop)
    }

    async fn scroll(&self, x: f64, y: f64) -> Result<(), String> {
        self.mouse(&json!({ "type": "mouseWheel", "x": 10, "y": 10, "deltaX": x, "deltaY": y }))
            .await
    }

    async fn upload(&self, bid: &str, files: &Value) -> Result<(), String> {
        let kind = self.page("kind", bid, &Value::Null).await?;
        if kind["type"] != "file" {
            return Err(format!("The element {bid} takes no files."));
        }
        let names: Vec<&str> = match files {
            Value::String(one) => vec![one.as_str()],
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut paths = Vec::new();
        for name in names {
            let path = Path::new(&self.folder).join(name);
            if !path.is_file() {
                return Err(format!("There is no file {}.", path.display()));
            }
            paths.push(path.to_string_lossy().into_owned());
        }
        let quoted = json!(bid);
        let expression =
            format!("document.querySelector('[bid=\"' + CSS.escape({quoted}) + '\"]')");
        let object = self.evaluate(&expression, false).await?;
        let id = object["objectId"].as_str().ok_or("Files are taken by the page itself alone.")?;
        self.ask("DOM.setFileInputFiles", json!({ "files": paths, "objectId": id })).await.map(drop)
    }

    async fn close_tab(&self) -> Result<(), String> {
        let (count, target) = {
            let tabs = self.cdp.tabs.borrow();
            let tab = tabs.current().ok_or("There is no open page.")?;
            (tabs.all.len(), tab.target.clone())
        };
        if count == 1 {
            // A browser without a page would end.
            self.cdp.call(None, "Target.createTarget", json!({ "url": "about:blank" })).await?;
            self.until(|tabs| tabs == 2).await?;
        }
        self.cdp.call(None, "Target.closeTarget", json!({ "targetId": target })).await?;
        self.until(|tabs| tabs < count.max(2)).await
    }

    async fn focus_tab(&self, index: &Value) -> Result<(), String> {
        let target = {
            let mut tabs = self.cdp.tabs.borrow_mut();
            let count = tabs.all.len();
            let at = index.as_u64().and_then(|at| usize::try_from(at).ok());
            let at = at.filter(|at| *at < count);
            let at =
                at.ok_or_else(|| format!("There is no page {index}: there are {count}, from 0."))?;
            tabs.active = at;
            tabs.all[at].target.clone()
        };
        self.cdp.call(None, "Target.activateTarget", json!({ "targetId": target })).await.map(drop)
    }

    /// Waits until there are as many pages as wanted.
    async fn until(&self, is_so: impl Fn(usize) -> bool) -> Result<(), String> {
        loop {
            let news = self.cdp.news.notified();
            if is_so(self.cdp.tabs.borrow().all.len()) {
                return Ok(());
            }
            if self.cdp.lost.get() {
                return Err("The browser ended.".to_owned());
            }
            news.await;
        }
    }

    /// Waits until the page has loaded, or has had its time.
    pub(super) async fn settle(&self) -> Result<(), String> {
        let until = Instant::now() + SETTLE;
        let mut ready = 0;
        while ready < 2 && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
            if self.cdp.lost.get() {
                return Err("The browser ended.".to_owned());
            }
            let loading = self.cdp.tabs.borrow().current().is_none_or(|tab| tab.loading);
            // A page that is just replaced can't be asked; so it is not ready.
            let state = timeout(TAKEN, self.page_state()).await;
            let complete = matches!(state, Ok(Ok(state)) if state == "complete");
            ready = if complete && !loading { ready + 1 } else { 0 };
        }
        Ok(())
    }

    async fn page_state(&self) -> Result<Value, String> {
        Ok(self.evaluate("document.readyState", true).await?["value"].take())
    }
}
