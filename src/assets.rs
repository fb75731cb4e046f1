//! The front end's files and pages, compiled in: one file is enough to install.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use rust_embed::RustEmbed;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tera::Tera;

use crate::{auth::keys::hex, front::Front};

#[derive(RustEmbed)]
#[folder = "static/"]
struct Static;

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

/// Templates, catalogues and the hash that names this build's static files.
pub struct Assets {
    pub templates: Tera,
    catalogues: BTreeMap<&'static str, Value>,
    hash: String,
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
        let hash = hex(&hasher.finalize()[..8]);
        Ok(Self { templates, catalogues, hash })
    }

    /// Where this build's static files are.
    pub fn base(&self) -> String {
        format!("/static/{}", self.hash)
    }

    /// The messages of a language.
    pub fn catalogue(&self, language: &str) -> &Value {
        self.catalogues.get(language).unwrap_or(&self.catalogues[LANGUAGES[0]])
    }
}

/// `GET /static/{hash}/{path}`: unchangeable under its hash; under another one the newest is given,
/// not to be kept, for pages that were open during an upgrade.
pub async fn serve(
    front: web::Data<Front>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (hash, name) = path.into_inner();
    let Some(file) = Static::get(&name) else {
        return crate::guard::not_found(front, request).await;
    };
    let cache =
        if hash == front.assets.hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mime = file.metadata.mimetype();
    let text = mime.starts_with("text/") || mime.ends_with("json") || mime.ends_with("javascript");
    let mime = if text { format!("{mime}; charset=utf-8") } else { mime.to_owned() };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, mime))
        .insert_header((header::CACHE_CONTROL, cache))
        .body(file.data.into_owned())
}
