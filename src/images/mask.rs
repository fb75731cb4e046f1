//! Secrets in what a build prints and in what it is told to do.

use staithe_image::inputs::Inputs;
use staithe_protocol::HIDDEN;

/// Shorter ones would hide ordinary words.
const SHORTEST: usize = 6;

/// Hides the configured secrets and the credentials in addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    pub(super) fn of(secrets: &[String], inputs: &Inputs) -> Self {
        let addresses = [
            &inputs.mirrors.apt,
            &inputs.mirrors.apk,
            &inputs.mirrors.pypi,
            &inputs.mirrors.npm,
            &inputs.node.source,
            &inputs.vscode.source,
        ];
        let queries = addresses.into_iter().filter_map(|address| Some(address.split_once('?')?.1));
        let credentials = addresses.into_iter().filter_map(|address| credentials(address));
        let credentials = credentials.chain(queries.map(str::to_owned));
        let mut all: Vec<String> = secrets.iter().cloned().chain(credentials).collect();
        all.retain(|secret| secret.len() >= SHORTEST);
        // A secret that holds another one goes first.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    pub(super) fn apply(&self, text: String) -> String {
        let mut text = text;
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        text
    }
}

/// `user:password` of an address.
fn credentials(address: &str) -> Option<String> {
    let rest = address.split_once("://")?.1;
    let place = rest.split('/').next()?;
    Some(place.rsplit_once('@')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_addresses_are_hidden() {
        assert_eq!(credentials("https://me:word@h/p@q").as_deref(), Some("me:word"));
        assert_eq!(credentials("https://h/p@q"), None);
        let mask = Mask(vec!["me:word1".into()]);
        assert_eq!(mask.apply("get https://me:word1@h/".into()), "get https://<secret_hidden>@h/");
    }
}
