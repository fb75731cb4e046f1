//! The browser's pages, as its events tell them. Pure.

use serde_json::{Value, json};

/// Notes of dialogs that are kept.
const MOST_NOTES: usize = 8;
/// The most bytes of a note.
const MOST_NOTE: usize = 500;
/// Downloads that are kept.
const MOST_DOWNLOADS: usize = 64;
/// The largest download, in bytes.
const MOST_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tab {
    /// Its target, which is its main frame, too.
    pub target: String,
    pub session: String,
    pub url: String,
    pub loading: bool,
    pub crashed: bool,
}

/// A file that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Download {
    pub guid: String,
    pub name: String,
    /// Whether it came whole; none while it comes.
    pub done: Option<bool>,
}

/// What the browser is to be told at once.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub session: Option<String>,
    pub method: &'static str,
    pub params: Value,
}

/// All pages.
#[derive(Debug, Default)]
pub(super) struct Tabs {
    pub all: Vec<Tab>,
    pub active: usize,
    /// What dialogs said.
    pub notes: Vec<String>,
    pub downloads: Vec<Download>,
}

impl Tabs {
    /// The page that is looked at.
    pub(super) fn current(&self) -> Option<&Tab> {
        self.all.get(self.active)
    }

    /// Forgets the downloads that ended.
    pub(super) fn take_ended(&mut self) -> Vec<Download> {
        self.downloads.extract_if(.., |download| download.done.is_some()).collect()
    }

    /// Takes an event; what is to be answered.
    pub(super) fn happened(
        &mut self,
        method: &str,
        session: Option<&str>,
        params: &Value,
    ) -> Vec<Answer> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let main = |tab: &Tab| params["frameId"] == tab.target.as_str();
        match method {
            "Target.attachedToTarget" => return self.attached(params),
            "Target.detachedFromTarget" => {
                let gone =
                    self.all.iter().position(|tab| params["sessionId"] == tab.session.as_str());
                if let Some(at) = gone {
                    self.all.remove(at);
                    if self.active > at || self.active >= self.all.len() {
                        self.active = self.active.saturating_sub(1);
                    }
                }
            }
            "Target.targetInfoChanged" => {
                let info = &params["targetInfo"];
                for tab in self.all.iter_mut().filter(|tab| info["targetId"] == tab.target.as_str())
                {
                    tab.url = text(&info["url"]);
                }
            }
            // One that is not followed could not be ended when it gets too large.
            "Browser.downloadWillBegin" if self.downloads.len() >= MOST_DOWNLOADS => {
                return vec![cancel(&params["guid"])];
            }
            "Browser.downloadWillBegin" => {
                self.downloads.push(Download {
                    guid: text(&params["guid"]),
                    name: text(&params["suggestedFilename"]),
                    done: None,
                });
            }
            "Browser.downloadProgress" => return self.progressed(params),
            _ => {}
        }
        let tab = self.all.iter_mut().find(|tab| session == Some(tab.session.as_str()));
        let Some(tab) = tab else { return Vec::new() };
        match method {
            "Page.frameStartedLoading" if main(tab) => tab.loading = true,
            "Page.frameStoppedLoading" if main(tab) => tab.loading = false,
            "Page.frameNavigated" if params["frame"]["parentId"].is_null() => {
                tab.url = text(&params["frame"]["url"]);
                tab.crashed = false;
            }
            "Inspector.targetCrashed" => tab.crashed = true,
            "Page.javascriptDialogOpening" => return vec![self.dialog(session, params)],
            _ => {}
        }
        Vec::new()
    }

    /// All wait to be let go. What is no page is none of ours.
    fn attached(&mut self, params: &Value) -> Vec<Answer> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let session = text(&params["sessionId"]);
        let say = |method| Answer { session: Some(session.clone()), method, params: json!({}) };
        let go = say("Runtime.runIfWaitingForDebugger");
        let info = &params["targetInfo"];
        if info["type"] != "page" {
            let method = "Target.detachFromTarget";
            let params = json!({ "sessionId": session });
            return vec![go, Answer { session: None, method, params }];
        }
        self.all.push(Tab {
            target: text(&info["targetId"]),
            session: session.clone(),
            url: text(&info["url"]),
            loading: false,
            crashed: false,
        });
        self.active = self.all.len() - 1;
        vec![say("Page.enable"), say("Inspector.enable"), go]
    }

    fn progressed(&mut self, params: &Value) -> Vec<Answer> {
        let guid = params["guid"].as_str().unwrap_or_default();
        let Some(download) = self.downloads.iter_mut().find(|download| download.guid == guid)
        else {
            return Vec::new();
        };
        match params["state"].as_str() {
            Some("completed") => download.done = Some(true),
            Some("canceled") => download.done = Some(false),
            _ if params["receivedBytes"].as_f64().unwrap_or(0.0) > MOST_BYTES => {
                return vec![cancel(&params["guid"])];
            }
            _ => {}
        }
        Vec::new()
    }

    /// A dialog would hold everything up. It is closed: what only tells, and what asks whether to leave,
    /// with yes; what asks anything else with no.
    fn dialog(&mut self, session: Option<&str>, params: &Value) -> Answer {
        let kind = params["type"].as_str().unwrap_or_default();
        let accept = matches!(kind, "alert" | "beforeunload");
        let said = params["message"].as_str().unwrap_or_default();
        let said = &said[..said.floor_char_boundary(MOST_NOTE)];
        let answered = if accept { "accepted" } else { "dismissed" };
        self.notes
            .push(format!("[The page opened a dialog ({kind}), which was {answered}: {said}]"));
        if self.notes.len() > MOST_NOTES {
            self.notes.remove(0);
        }
        Answer {
            session: session.map(str::to_owned),
            method: "Page.handleJavaScriptDialog",
            params: json!({ "accept": accept }),
        }
    }
}

fn cancel(guid: &Value) -> Answer {
    let params = json!({ "guid": guid });
    Answer { session: None, method: "Browser.cancelDownload", params }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(tabs: &mut Tabs, name: &str) {
        let info = json!({ "targetId": name, "type": "page", "url": "about:blank" });
        let params = json!({ "sessionId": format!("s-{name}"), "targetInfo": info });
        assert_eq!(tabs.happened("Target.attachedToTarget", None, &params).len(), 3);
    }

    #[test]
    fn the_newest_page_is_looked_at_and_the_one_before_when_it_is_gone() {
        let mut tabs = Tabs::default();
        for name in ["a", "b", "c"] {
            attach(&mut tabs, name);
        }
        assert_eq!(tabs.current().unwrap().target, "c");
        let gone = |name: &str| json!({ "sessionId": format!("s-{name}") });
        tabs.happened("Target.detachedFromTarget", None, &gone("a"));
        assert_eq!(tabs.current().unwrap().target, "c");
        tabs.happened("Target.detachedFromTarget", None, &gone("c"));
        assert_eq!(tabs.current().unwrap().target, "b");
        tabs.happened("Target.detachedFromTarget", None, &gone("b"));
        assert_eq!(tabs.current(), None);
        let worker =
            json!({ "sessionId": "w", "targetInfo": { "type": "worker", "targetId": "w" } });
        let answers = tabs.happened("Target.attachedToTarget", None, &worker);
        assert_eq!(answers[1].method, "Target.detachFromTarget");
        assert_eq!(tabs.current(), None);
    }

    #[test]
    fn a_page_loads_by_its_main_frame() {
        let mut tabs = Tabs::default();
        attach(&mut tabs, "a");
        let loading = |tabs: &mut Tabs, method: &str, frame: &str| {
            tabs.happened(method, Some("s-a"), &json!({ "frameId": frame }));
            tabs.all[0].loading
        };
        assert!(!loading(&mut tabs, "Page.frameStartedLoading", "inner"));
        assert!(loading(&mut tabs, "Page.frameStartedLoading", "a"));
        assert!(!loading(&mut tabs, "Page.frameStoppedLoading", "a"));
    }

    #[test]
    fn dialogs_are_closed_and_noted() {
        let mut tabs = Tabs::default();
        attach(&mut tabs, "a");
        for (kind, accept) in [("alert", true), ("confirm", false), ("prompt", false)] {
            let params = json!({ "type": kind, "message": "ä".repeat(400) });
            let answers = tabs.happened("Page.javascriptDialogOpening", Some("s-a"), &params);
            assert_eq!(answers[0].params["accept"], accept, "{kind}");
            assert!(tabs.notes.last().unwrap().contains(kind));
        }
    }

    #[test]
    fn downloads_end_or_are_ended() {
        let mut tabs = Tabs::default();
        let begun = json!({ "guid": "g", "suggestedFilename": "a.pdf" });
        tabs.happened("Browser.downloadWillBegin", None, &begun);
        let huge = json!({ "guid": "g", "state": "inProgress", "receivedBytes": 2e9 });
        assert_eq!(tabs.happened("Browser.downloadProgress", None, &huge).len(), 1);
        let done = json!({ "guid": "g", "state": "completed" });
        tabs.happened("Browser.downloadProgress", None, &done);
        assert_eq!(tabs.downloads[0].done, Some(true));
    }
    #[test]
    fn downloads_beyond_those_that_are_followed_are_ended_at_once() {
        let mut tabs = Tabs::default();
        for number in 0..MOST_DOWNLOADS {
            let begun = json!({ "guid": number.to_string() });
            assert_eq!(tabs.happened("Browser.downloadWillBegin", None, &begun), []);
        }
        let begun = json!({ "guid": "more" });
        let answers = tabs.happened("Browser.downloadWillBegin", None, &begun);
        assert_eq!(answers, [cancel(&json!("more"))]);
        let done = json!({ "guid": "7", "state": "completed" });
        tabs.happened("Browser.downloadProgress", None, &done);
        let ended: Vec<_> = tabs.take_ended().into_iter().map(|download| download.guid).collect();
        assert_eq!((ended, tabs.downloads.len()), (vec!["7".to_owned()], MOST_DOWNLOADS - 1));
        assert_eq!(tabs.happened("Browser.downloadWillBegin", None, &begun), []);
    }
}
