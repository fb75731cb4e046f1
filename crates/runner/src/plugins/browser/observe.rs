//! What is seen after calls: the page's text, picture and tree, or the file that came.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use serde_json::{Map, Value, json};
use staithe_protocol::{
    Observation,
    observation::{BrowseObservation, DownloadObservation},
};
use tokio::{task::spawn_blocking, time::timeout};

use super::{act::Hand, axtree, script::Call, tabs::Download};

/// A picture with more bytes of base64 is taken at half its size.
const MOST_PICTURE: usize = 2 * 1024 * 1024;
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(20);
/// A download may take so long after its call.
const DOWNLOAD: Duration = Duration::from_secs(30);
/// Frames whose trees are told beside the page's own.
const MOST_FRAMES: usize = 8;
/// Levels of a document that are asked for at once: each is two of JSON, of which 127 are taken.
const LEVELS: u32 = 40;
/// Elements whose deeper levels are asked for.
const MOST_DEEPER: usize = 32;
/// The most bytes of an address.
const MOST_URL: usize = 2_000;

/// What was asked for.
pub(super) struct Asked {
    pub trigger: &'static str,
    /// As it was asked for; empty where the page's own is told.
    pub url: String,
    pub script: String,
    /// The tree is told as text.
    pub tree: bool,
    /// The tree is told as an object.
    pub object: bool,
    pub cwd: String,
}

impl Asked {
    /// Nothing could be seen.
    pub(super) fn failed(&self, error: &str) -> Observation {
        Observation::Browse(self.blank(error))
    }

    fn blank(&self, error: &str) -> BrowseObservation {
        BrowseObservation {
            content: error.to_owned(),
            url: self.url.clone(),
            trigger_by_action: self.trigger.to_owned(),
            error: !error.is_empty(),
            last_browser_action: self.script.clone(),
            last_browser_action_error: error.to_owned(),
            ..BrowseObservation::default()
        }
    }
}

/// Carries calls out up to the first that fails, and looks.
pub(super) async fn carry_out(
    hand: &Hand,
    asked: &Asked,
    calls: &[Call],
    downloads: &Path,
) -> Observation {
    tidy(hand, downloads).await;
    let before = {
        let mut tabs = hand.cdp.tabs.borrow_mut();
        tabs.notes.clear();
        tabs.downloads.len()
    };
    let mut error = String::new();
    for call in calls {
        if let Err(wrong) = hand.carry_out(call).await {
            error = if calls.len() == 1 { wrong } else { format!("{}: {wrong}", call.text) };
            break;
        }
    }
    if let Some(download) = downloaded(hand, before).await {
        let kept = keep(&download, downloads, Path::new(&asked.cwd)).await;
        tidy(hand, downloads).await; // what came beside it is nobody's
        match kept {
            Ok(path) => return told(asked, &download, &path),
            Err(wrong) => error = wrong,
        }
    }
    let mut seen = asked.blank(&error);
    match timeout(LOOK, look(hand, asked, &mut seen)).await {
        Ok(Err(wrong)) if error.is_empty() => return asked.failed(&wrong),
        Err(_) if error.is_empty() => return asked.failed("The page does not answer."),
        // What went wrong before says more.
        Ok(Ok(()) | Err(_)) | Err(_) => {}
    }
    Observation::Browse(seen)
}

/// The file that came of the calls, once it is there; whether whole or not.
async fn downloaded(hand: &Hand, before: usize) -> Option<Download> {
    let done = async {
        loop {
            let news = hand.cdp.news.notified();
            let newest = hand.cdp.tabs.borrow().downloads.get(before).cloned()?;
            if newest.done.is_some() || hand.cdp.lost.get() {
                return Some(newest);
            }
            news.await;
        }
    };
    match timeout(DOWNLOAD, done).await {
        Ok(download) => download,
        Err(_) => hand.cdp.tabs.borrow().downloads.get(before).cloned(),
    }
}

/// Forgets the downloads that ended, and removes their files.
async fn tidy(hand: &Hand, downloads: &Path) {
    let ended = hand.cdp.tabs.borrow_mut().take_ended();
    let files: Vec<_> = ended.iter().filter_map(|download| file_of(download, downloads)).collect();
    if files.is_empty() {
        return;
    }
    let removed = spawn_blocking(move || {
        for file in files {
            fs::remove_file(file).ok(); // one that was broken off has none
        }
    });
    drop(removed.await); // a browser that begins removes what is left
}

/// Where the browser puts it. It makes these names itself.
fn file_of(download: &Download, downloads: &Path) -> Option<PathBuf> {
    let is_plain = download.guid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_plain.then(|| downloads.join(&download.guid))
}

/// Puts a file into the folder as `file_<n>` with its ending, as the reference does.
async fn keep(download: &Download, downloads: &Path, folder: &Path) -> Result<PathBuf, String> {
    let name: String = download.name.chars().filter(|c| !c.is_control()).take(100).collect();
    match download.done {
        Some(true) => {}
        Some(false) => return Err(format!("The download of {name:?} was broken off.")),
        None => return Err(format!("The download of {name:?} takes too long.")),
    }
    let from = file_of(download, downloads)
        .ok_or_else(|| format!("The download of {name:?} is not there."))?;
    let ending = Path::new(&name).extension().and_then(|ending| ending.to_str());
    let ending = ending.filter(|ending| ending.len() <= 10 && !ending.contains('/'));
    let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
    let folder = folder.to_owned();
    let put = spawn_blocking(move || {
        // What stands there may have been exchanged for what would hold this up, or lead elsewhere.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut source = File::from(rustix::fs::open(&from, flags, Mode::empty())?);
        if !source.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        put(&mut source, &folder, &ending)
    });
    let put = put.await.unwrap_or_else(|lost| Err(io::Error::other(lost)));
    put.map_err(|error| format!("The download of {name:?} could not be kept: {error}."))
}

/// All of it, or nothing.
fn put(source: &mut impl Read, folder: &Path, ending: &str) -> io::Result<PathBuf> {
    for number in 1..10_000 {
        let to = folder.join(format!("file_{number}{ending}"));
        let mut file = match File::create_new(&to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        return match io::copy(source, &mut file) {
            Ok(_) => Ok(to),
            Err(error) => {
                fs::remove_file(&to).ok(); // the first fault says more
                Err(error)
            }
        };
    }
    Err(io::Error::other("there are too many"))
}

fn told(asked: &Asked, download: &Download, path: &Path) -> Observation {
    let path = path.to_string_lossy().into_owned();
    let content = format!(
        "{} downloaded the file {:?}. It is at {path}.",
        asked.script.lines().next().unwrap_or_default(),
        download.name
    );
    Observation::Download(DownloadObservation { content, file_path: path })
}

async fn look(hand: &Hand, asked: &Asked, seen: &mut BrowseObservation) -> Result<(), String> {
    let page = hand.page("see", "", &Value::Null).await?;
    let of = |name: &str| page[name].as_str().unwrap_or_default();
    if asked.url.is_empty() {
        seen.url = short(of("url"));
    }
    of("focused").clone_into(&mut seen.focused_element_bid);
    seen.extra_element_properties = page["properties"].as_object().cloned().unwrap_or_default();
    {
        let tabs = hand.cdp.tabs.borrow();
        seen.open_pages_urls = tabs.all.iter().map(|tab| short(&tab.url)).collect();
        seen.active_page_index = i64::try_from(tabs.active).unwrap_or(-1);
    }
    seen.screenshot = picture(hand).await?;
    let mut parts = Vec::new();
    if seen.error {
        parts.push(seen.last_browser_action_error.clone());
    }
    parts.append(&mut hand.said.take());
    parts.append(&mut hand.cdp.tabs.borrow_mut().notes);
    let text = of("text");
    if !text.is_empty() {
        parts.push(text.to_owned());
    }
    if asked.tree || asked.object {
        match tree(hand).await {
            Ok((nodes, lines, numbers)) => {
                if asked.object {
                    seen.axtree_object = axtree::marked(&nodes, &numbers);
                }
                if asked.tree {
                    parts.push(format!(
                        "Accessibility tree (numbers in brackets are for calls):\n{lines}"
                    ));
                }
            }
            // The rest is worth telling.
            Err(wrong) => parts.push(format!("[There is no accessibility tree: {wrong}]")),
        }
    }
    seen.content = parts.join("\n\n");
    Ok(())
}

/// A `data:` URL.
async fn picture(hand: &Hand) -> Result<String, String> {
    let mut params = json!({ "format": "png" });
    for _ in 0..2 {
        let shot = hand.ask("Page.captureScreenshot", params).await?;
        let data = shot["data"].as_str().unwrap_or_default();
        if data.len() <= MOST_PICTURE {
            return Ok(format!("data:image/png;base64,{data}"));
        }
        let clip = json!({ "x": 0, "y": 0, "width": 1280, "height": 720, "scale": 0.4 });
        params = json!({ "format": "png", "clip": clip });
    }
    Ok(String::new()) // even small it would be too much for an event
}

type Tree = (Vec<Value>, String, HashMap<i64, String>);

/// The trees of the page and of the frames in it.
async fn tree(hand: &Hand) -> Result<Tree, String> {
    let numbers = numbers(hand).await?;
    let mut nodes = nodes_of(hand, json!({})).await?;
    let mut lines = axtree::text(&nodes, &numbers);
    let frames = hand.ask("Page.getFrameTree", json!({})).await?;
    let inner = frames["frameTree"]["childFrames"].as_array().cloned().unwrap_or_default();
    for (at, frame) in inner.iter().take(MOST_FRAMES).enumerate() {
        // A frame of another site is another process's, and its elements have no numbers here.
        let params = json!({ "frameId": frame["frame"]["id"] });
        let Ok(mut more) = nodes_of(hand, params).await else { continue };
        lines = format!("{lines}Frame {}:\n{}", at + 1, axtree::text(&more, &numbers));
        for node in &mut more {
            rename(node, at + 1);
        }
        nodes.append(&mut more);
    }
    Ok((nodes, lines, numbers))
}

/// Numbers of elements by the browser's own.
async fn numbers(hand: &Hand) -> Result<HashMap<i64, String>, String> {
    let mut numbers = HashMap::new();
    let document = hand.ask("DOM.getDocument", json!({ "depth": LEVELS, "pierce": true })).await?;
    let mut deeper = axtree::numbers(&document["root"], &mut numbers);
    for _ in 0..MOST_DEEPER {
        let Some(id) = deeper.pop() else { break };
        let params = json!({ "backendNodeId": id, "depth": LEVELS, "pierce": true });
        // One that has gone meanwhile holds nothing.
        let Ok(told) = hand.ask("DOM.describeNode", params).await else { continue };
        deeper.append(&mut axtree::numbers(&told["node"], &mut numbers));
    }
    Ok(numbers)
}

async fn nodes_of(hand: &Hand, params: Value) -> Result<Vec<Value>, String> {
    let mut told = hand.ask("Accessibility.getFullAXTree", params).await?;
    Ok(match told["nodes"].take() {
        Value::Array(nodes) => nodes,
        _ => Vec::new(),
    })
}

/// Ids of another frame's nodes may be the same as ours.
fn rename(node: &mut Value, frame: usize) {
    let Some(node): Option<&mut Map<String, Value>> = node.as_object_mut() else { return };
    let renamed =
        |id: &Value| Value::String(format!("{frame}-{}", id.as_str().unwrap_or_default()));
    for name in ["nodeId", "parentId"] {
        if let Some(id) = node.get_mut(name) {
            *id = renamed(id);
        }
    }
    for id in node.get_mut("childIds").and_then(Value::as_array_mut).into_iter().flatten() {
        *id = renamed(id);
    }
}

fn short(url: &str) -> String {
    url[..url.floor_char_boundary(MOST_URL)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_t_be_copied_whole_leaves_nothing() {
        struct Broken;

        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }

        let folder = tempfile::tempdir().unwrap();
        let mut broken = b"half".chain(Broken);
        let error = put(&mut broken, folder.path(), ".pdf").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let put = put(&mut &b"whole"[..], folder.path(), ".pdf").unwrap();
        assert_eq!(fs::read(&put).unwrap(), b"whole");
        assert!(put.ends_with("file_1.pdf"));
    }
}
