//! The front end's files and pages, compiled in: one file is enough to install.

use std::{borrow::Cow, collections::BTreeMap};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use rust_embed::RustEmbed;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tera::Tera;

use crate::{auth::keys::hex, front::Front};

#[derive(RustEmbed)]
#[folder = "static/"]
struct Static;

/// What `build.rs` made (`web/embed.rs`): the bundles of libraries, and every static file as gzip.
mod made {
    include!(concat!(env!("OUT_DIR"), "/web.rs"));
}

#[derive(RustEmbed)]
#[folder = "templates/layouts/"]
#[prefix = "layouts/"]
struct Layouts;

#[derive(RustEmbed)]
#[folder = "templates/pages/"]
#[prefix = "pages/"]
struct Pages;

/// The languages of the interface; the first is the default.
pub const LANGUAGES: [&str; 2] = ["en", "zh-CN"];

/// The first modules of pages.
const ENTRIES: [&str; 4] = ["admin", "session", "sessions", "settings"];

/// Templates, catalogues and the hash that names this build's static files.
pub struct Assets {
    pub templates: Tera,
    catalogues: BTreeMap<&'static str, Value>,
    hash: String,
    modules: BTreeMap<&'static str, Vec<String>>,
}

/// What is wrong with the compiled-in files; a test meets it before a user can.
#[derive(Debug, thiserror::Error)]
pub enum AssetsFailed {
    #[error("a template can't be parsed")]
    Template(#[source] Box<tera::Error>),
    #[error("the catalogue {0} can't be read")]
    Catalogue(&'static str),
}

impl Assets {
    /// Parses everything once.
    pub fn load() -> Result<Self, AssetsFailed> {
        let mut templates = Tera::default();
        let layouts = Layouts::iter().filter_map(|name| Some((Layouts::get(&name)?, name)));
        let pages = Pages::iter().filter_map(|name| Some((Pages::get(&name)?, name)));
        let files: Vec<(String, String)> = layouts
            .chain(pages)
            .filter(|(_, name)| {
                std::path::Path::new(&**name).extension().is_some_and(|e| e == "html")
            })
            .map(|(file, name)| {
                (name.into_owned(), String::from_utf8_lossy(&file.data).into_owned())
            })
            .collect();
        templates
            .add_raw_templates(files)
            .map_err(|error| AssetsFailed::Template(Box::new(error)))?;
        let mut catalogues = BTreeMap::new();
        for language in LANGUAGES {
            let file = Static::get(&format!("i18n/{language}.json"))
                .ok_or(AssetsFailed::Catalogue(language))?;
            let catalogue = serde_json::from_slice(&file.data)
                .map_err(|_| AssetsFailed::Catalogue(language))?;
            catalogues.insert(language, catalogue);
        }
        let mut hasher = Sha256::new();
        for name in Static::iter() {
            hasher.update(name.as_bytes());
            if let Some(file) = Static::get(&name) {
                hasher.update(file.metadata.sha256_hash());
            }
        }
        for (name, hash, _) in made::BUNDLES {
            hasher.update(name.as_bytes());
            hasher.update(hash.as_bytes());
        }
        let hash = hex(&hasher.finalize()[..8]);
        let modules = ENTRIES.into_iter().map(|entry| (entry, imported(entry))).collect();
        Ok(Self { templates, catalogues, hash, modules })
    }

    /// Where this build's static files are.
    pub fn base(&self) -> String {
        format!("/static/{}", self.hash)
    }

    /// Why the page has no libraries of others in this build; none when it has them.
    pub fn without_libraries() -> Option<&'static str> {
        made::MISSING
    }

    /// By the name of a page's first module: all that it imports at once, by their names below `js/`.
    pub fn modules(&self) -> &BTreeMap<&'static str, Vec<String>> {
        &self.modules
    }

    /// The messages of a language.
    pub fn catalogue(&self, language: &str) -> &Value {
        self.catalogues.get(language).unwrap_or(&self.catalogues[LANGUAGES[0]])
    }
}

/// What a module imports by `import … from "./NAME.js"`, and what that imports.
fn imported(entry: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![format!("{entry}.js")];
    while let Some(name) = open.pop() {
        let Some(file) = Static::get(&format!("js/{name}")) else { continue };
        let text = String::from_utf8_lossy(&file.data).into_owned();
        for line in text.lines() {
            let import = line.strip_prefix("import ").or_else(|| line.strip_prefix("} from "));
            let from = import.and_then(|rest| rest.split_once("\"./")?.1.split_once('"'));
            let Some((other, _)) = from else { continue };
            if !found.iter().any(|known| known == other) {
                found.push(other.to_owned());
                open.push(other.to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A static file with the hash of its bytes.
struct Found {
    mime: String,
    hash: String,
    bytes: Cow<'static, [u8]>,
}

/// One of our own, or a bundle under `lib/`.
fn find(name: &str) -> Option<Found> {
    let Some(bundle) = name.strip_prefix("lib/") else {
        let file = Static::get(name)?;
        let (mime, hash) = (file.metadata.mimetype(), hex(&file.metadata.sha256_hash()));
        return Some(Found { mime: mime.to_owned(), hash, bytes: file.data });
    };
    let at = made::BUNDLES.binary_search_by_key(&bundle, |(name, ..)| name).ok()?;
    let (name, hash, bytes) = made::BUNDLES[at];
    let mime = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        _ => "text/plain",
    };
    Some(Found { mime: mime.to_owned(), hash: hash.to_owned(), bytes: Cow::Borrowed(bytes) })
}

/// `GET /static/{hash}/{path}`: unchangeable under its hash; under another one the newest is given,
/// not to be kept, for pages that were open during an upgrade. As gzip where that is smaller and taken.
pub async fn serve(
    front: web::Data<Front>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (hash, name) = path.into_inner();
    let Some(Found { mut mime, hash: content, bytes }) = find(&name) else {
        return crate::guard::not_found(front, request).await;
    };
    let cache =
        if hash == front.assets.hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    if mime.starts_with("text/") || mime.ends_with("json") || mime.ends_with("javascript") {
        mime.push_str("; charset=utf-8");
    }
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, mime))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::VARY, "accept-encoding"));
    let packed = || made::PACKED.binary_search_by_key(&content.as_str(), |(hash, _)| hash).ok();
    if let Some(at) = takes_gzip(&request).then(packed).flatten() {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        return response.body(made::PACKED[at].1);
    }
    match bytes {
        Cow::Borrowed(bytes) => response.body(bytes),
        Cow::Owned(bytes) => response.body(bytes),
    }
}

/// Whether the caller's `Accept-Encoding` has gzip, and not with the weight of zero.
fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING);
    accepted.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(',').any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let name = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let none = parts.any(|part| {
                part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
            });
            name && !none
        })
    })
}
