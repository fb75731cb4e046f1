//! Addresses, and the connections that all models share.

use ::genai::{Client, adapter::AdapterKind};
use reqwest::{NoProxy, Proxy, Url, redirect};

use super::fail::failed;
use crate::{
    model::{FailureKind, ModelFailed},
    settings::Provider,
};

/// The connections to providers. Clones share them.
#[derive(Clone)]
pub struct Wire(reqwest::Client);

impl Wire {
    /// Nobody is followed to another address: a key goes where the settings say. Proxies of the environment
    /// (`HTTPS_PROXY`, `NO_PROXY`) are used for https, where they see no key, and never for http, which is how
    /// machines close by are spoken to.
    ///
    /// # Errors
    ///
    /// `Unavailable` when there is no TLS, or when the environment's proxy is no address.
    pub fn new() -> Result<Self, ModelFailed> {
        let broken = |what: &str| failed(FailureKind::Unavailable, what);
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .gzip(true);
        let proxy = ["HTTPS_PROXY", "https_proxy"].iter().find_map(|name| std::env::var(name).ok());
        if let Some(proxy) = proxy.filter(|it| !it.is_empty()) {
            let proxy = Proxy::https(proxy).map_err(|_| broken("HTTPS_PROXY is no address"))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_env()));
        }
        let no_tls = "no TLS for connections to models: the machine has no certificates of authorities that can be \
                      read (Debian's package ca-certificates has them)";
        builder.build().map(Self).map_err(|_| broken(no_tls))
    }

    pub(super) fn client(&self) -> Result<Client, ModelFailed> {
        let client = Client::builder().with_reqwest(self.0.clone()).build();
        client.map_err(|_| failed(FailureKind::Unavailable, "there is no client for models"))
    }
}

/// The address that paths are put behind, with a slash at its end.
pub(super) fn endpoint(provider: Provider, base_url: &str) -> Result<String, ModelFailed> {
    let (own, version) = match provider {
        Provider::Openai => ("https://api.openai.com/v1/", "v1"),
        Provider::Anthropic => ("https://api.anthropic.com/v1/", "v1"),
        Provider::Gemini => ("https://generativelanguage.googleapis.com/v1beta/", "v1beta"),
        Provider::Ollama => ("http://localhost:11434/", ""),
    };
    if base_url.is_empty() {
        return Ok(own.to_owned());
    }
    let none = || failed(FailureKind::BadQuestion, "the model's address is no http address");
    let mut url = Url::parse(base_url).map_err(|_| none())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(none());
    }
    let path = url.path().trim_matches('/').to_owned();
    let last = path.rsplit('/').next().unwrap_or_default();
    // As each maker's own library has it: OpenAI's wants the version in the address, the others' put it there.
    let complete = match provider {
        Provider::Openai => !path.is_empty(),
        Provider::Anthropic | Provider::Gemini => last.starts_with("v1"),
        Provider::Ollama => true,
    };
    let more = if complete { "" } else { version };
    let parts = [path.as_str(), more].into_iter().filter(|part| !part.is_empty());
    let path: Vec<&str> = parts.chain([""]).collect();
    url.set_path(&path.join("/"));
    // Only OpenAI's form can carry a query (`api-version=…`) before the path.
    if provider != Provider::Openai {
        url.set_query(None);
    }
    Ok(url.to_string())
}

/// Which of genai's adapters speaks with that address: some that speak OpenAI's protocol have ways of their own.
pub(super) fn kind(provider: Provider, endpoint: &str) -> AdapterKind {
    let host = Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let at = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    match provider {
        Provider::Anthropic => AdapterKind::Anthropic,
        Provider::Gemini => AdapterKind::Gemini,
        Provider::Ollama => AdapterKind::Ollama,
        Provider::Openai if at("deepseek.com") => AdapterKind::DeepSeek,
        Provider::Openai if at("mistral.ai") => AdapterKind::Mistral,
        Provider::Openai if at("groq.com") => AdapterKind::Groq,
        Provider::Openai if at("x.ai") => AdapterKind::Xai,
        Provider::Openai => AdapterKind::OpenAI,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_as_the_makers_own_libraries_do() {
        let cases = [
            (Provider::Openai, "", "https://api.openai.com/v1/"),
            (Provider::Openai, "http://localhost:8000", "http://localhost:8000/v1/"),
            (Provider::Openai, "https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/"),
            (
                Provider::Openai,
                "https://a.example/x/?api-version=2",
                "https://a.example/x/?api-version=2",
            ),
            (
                Provider::Anthropic,
                "https://api.deepseek.com/anthropic",
                "https://api.deepseek.com/anthropic/v1/",
            ),
            (Provider::Anthropic, "https://a.example/v1/", "https://a.example/v1/"),
            (Provider::Gemini, "https://a.example", "https://a.example/v1beta/"),
            (Provider::Ollama, "http://10.0.0.1:11434", "http://10.0.0.1:11434/"),
            (Provider::Ollama, "http://gate.example/ollama", "http://gate.example/ollama/"),
        ];
        for (provider, given, expected) in cases {
            assert_eq!(endpoint(provider, given).as_deref(), Ok(expected), "{given}");
        }
        for given in ["localhost:8000", "file:///etc/passwd", "nothing"] {
            let refused = endpoint(Provider::Openai, given).map_err(|failed| failed.kind);
            assert_eq!(refused, Err(FailureKind::BadQuestion), "{given}");
        }
    }

    #[test]
    fn some_hosts_have_ways_of_their_own() {
        assert_eq!(kind(Provider::Openai, "https://api.deepseek.com/v1/"), AdapterKind::DeepSeek);
        assert_eq!(kind(Provider::Openai, "https://notdeepseek.com/v1/"), AdapterKind::OpenAI);
        assert_eq!(
            kind(Provider::Anthropic, "https://api.deepseek.com/anthropic/v1/"),
            AdapterKind::Anthropic
        );
    }
}
