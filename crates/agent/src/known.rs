//! What is known of models by their names, and what their answers cost. Pure.
//!
//! A name is looked up without a gateway's prefix (`anthropic/claude-…`), by the longest beginning that is in the
//! table. Prices hold at the maker's own address only: a gateway or a machine of one's own has prices of its own.

mod table;

use crate::{
    model::Usage,
    settings::{ModelSettings, Price, Provider},
};
use table::{Row, TABLE};

/// Tokens that an unknown model reads.
const WINDOW: u64 = 32_768;
/// Tokens that an unknown model writes.
const OUTPUT: u64 = 4_096;

/// What is known of one model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Tokens that go in at most.
    pub window: u64,
    /// Tokens that come out at most.
    pub max_output: u64,
    /// It calls tools in its provider's own form.
    pub native_tools: bool,
    /// It sees pictures.
    pub vision: bool,
    /// It thinks before it answers.
    pub reasoning: bool,
    /// None: unknown, which is not nothing.
    pub price: Option<Price>,
}

/// What is known of the settings' model, and what the settings say instead.
pub fn settle(settings: &ModelSettings) -> Known {
    let known = known(settings.provider, &settings.base_url, &settings.model);
    Known {
        window: if settings.window > 0 { settings.window } else { known.window },
        max_output: if settings.max_output > 0 { settings.max_output } else { known.max_output },
        native_tools: settings.native_tools.unwrap_or(known.native_tools),
        vision: settings.vision.unwrap_or(known.vision),
        reasoning: known.reasoning,
        price: settings.price.or(known.price),
    }
}

/// What is known of a model by its name. `base_url` is empty for the provider's own address.
pub fn known(provider: Provider, base_url: &str, model: &str) -> Known {
    let row = row(model);
    let price = match (provider, row) {
        // It runs on somebody's own machine.
        (Provider::Ollama, _) => Some(Price::default()),
        (_, Some(row)) if sells(provider, base_url, row) => row.price(),
        _ => None,
    };
    row.map_or(
        Known {
            window: WINDOW,
            max_output: OUTPUT,
            native_tools: true,
            vision: false,
            reasoning: false,
            price,
        },
        |row| Known {
            window: row.window,
            max_output: row.output,
            native_tools: row.can.contains('t'),
            vision: row.can.contains('v'),
            reasoning: row.can.contains('r'),
            price,
        },
    )
}

/// US dollars for an answer.
pub fn cost(usage: &Usage, price: &Price) -> f64 {
    let fresh = usage.input.saturating_sub(usage.cache_read).saturating_sub(usage.cache_write);
    let dollars = count(fresh) * price.input
        + count(usage.cache_read) * price.cache_read
        + count(usage.cache_write) * price.cache_write
        + count(usage.output) * price.output;
    dollars / 1_000_000.0
}

#[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 tokens")]
fn count(tokens: u64) -> f64 {
    tokens as f64
}

/// The name as the table has it: without a gateway's prefix, and with an end, so that `gpt-5-` is `gpt-5` too but
/// not `gpt-5.5`.
fn plain(model: &str) -> String {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    // Gateways write Anthropic's numbers with dots.
    let name = if name.starts_with("claude") { name.replace('.', "-") } else { name };
    name + "-"
}

fn row(model: &str) -> Option<&'static Row> {
    let name = plain(model);
    TABLE.iter().filter(|row| name.starts_with(row.begins)).max_by_key(|row| row.begins.len())
}

/// Whether that address is where the model's maker sells it.
fn sells(provider: Provider, base_url: &str, row: &Row) -> bool {
    let own = match provider {
        Provider::Openai => "api.openai.com",
        Provider::Anthropic => "api.anthropic.com",
        Provider::Gemini => "generativelanguage.googleapis.com",
        Provider::Ollama => return false,
    };
    let host = if base_url.is_empty() { own } else { host(base_url) };
    host == row.sold_at || host.strip_suffix(row.sold_at).is_some_and(|rest| rest.ends_with('.'))
}

/// The host of an address, without the rest.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(model: &str) -> Known {
        known(Provider::Openai, "", model)
    }

    #[test]
    fn the_longest_beginning_decides() {
        assert_eq!(openai("gpt-4o-mini-2024-07-18").price.map(|price| price.input), Some(0.15));
        assert_eq!(openai("gpt-4o-2024-08-06").price.map(|price| price.input), Some(2.5));
        assert_eq!(openai("gpt-5").price.map(|price| price.output), Some(10.0));
        assert_eq!(openai("gpt-5-2025-08-07").price.map(|price| price.output), Some(10.0));
        assert_eq!(openai("gpt-5.5").price, None);
        assert_eq!(openai("gpt-6.1-sol").price.map(|price| price.cache_read), Some(0.1));
    }

    #[test]
    fn a_gateways_prefix_and_its_way_to_write_numbers_do_not_matter() {
        let claude =
            known(Provider::Openai, "https://openrouter.ai/api/v1", "anthropic/claude-opus-4.5");
        assert_eq!((claude.window, claude.vision), (200_000, true));
        assert_eq!(claude.price, None, "a gateway has its own prices");
    }

    #[test]
    fn what_is_unknown_has_no_price() {
        let known = openai("somebodys-model");
        assert_eq!(known.price, None);
        assert_eq!((known.window, known.max_output), (WINDOW, OUTPUT));
        assert!(known.native_tools && !known.vision);
    }

    #[test]
    fn prices_hold_where_the_maker_sells() {
        let at =
            |base| known(Provider::Openai, base, "deepseek-flash").price.map(|price| price.output);
        assert_eq!(at("https://api.deepseek.com"), Some(1.2));
        assert_eq!(at("https://api.deepseek.com:443/v1"), Some(1.2));
        assert_eq!(at("https://key@api.deepseek.com.example.org/v1"), None);
        assert_eq!(at("http://localhost:8000/v1"), None);
        assert_eq!(at(""), None, "it is not sold at the address of another maker");
        let local = known(Provider::Ollama, "", "qwen3-coder:30b");
        assert_eq!(local.price, Some(Price::default()), "one's own machine costs nothing");
    }

    #[test]
    fn settings_win() {
        let mut settings = crate::testing::model_settings(Provider::Anthropic);
        settings.model = "claude-haiku-4-5".to_owned();
        let known = settle(&settings);
        assert_eq!((known.window, known.price.map(|price| price.output)), (200_000, Some(5.0)));
        settings.window = 1_000;
        settings.native_tools = Some(false);
        settings.price = Some(Price { input: 9.0, ..Price::default() });
        let settled = settle(&settings);
        assert_eq!((settled.window, settled.native_tools), (1_000, false));
        assert_eq!(settled.price.map(|price| price.input), Some(9.0));
    }

    #[test]
    fn cached_tokens_have_their_own_price_and_are_counted_once() {
        let usage = Usage {
            input: 1_000_000,
            output: 100_000,
            cache_read: 600_000,
            cache_write: 100_000,
            reasoning: 5,
        };
        let price = Price { input: 3.0, output: 15.0, cache_read: 0.3, cache_write: 3.75 };
        let dollars = cost(&usage, &price);
        assert!((dollars - (0.9 + 0.18 + 0.375 + 1.5)).abs() < 1e-9, "{dollars}");
        let odd = Usage { input: 1, cache_read: 5, ..Usage::default() };
        assert!(cost(&odd, &price) > 0.0, "figures that do not add up do not wrap around");
    }

    #[test]
    fn every_row_makes_sense() {
        for row in TABLE {
            assert!(
                row.window > 1_000 && row.output > 500 && row.output <= row.window,
                "{}",
                row.begins
            );
            assert!(row.can.chars().all(|it| "tvr".contains(it)), "{}", row.begins);
            let price = row.price();
            let fair = price.is_none_or(|price| {
                let caches = [price.cache_read, price.cache_write];
                price.output >= price.input
                    && price.cache_read <= price.input
                    && caches.iter().all(|cache| *cache > 0.0)
            });
            assert!(fair, "{}: {price:?}", row.begins);
            assert_eq!(
                TABLE.iter().filter(|it| it.begins == row.begins).count(),
                1,
                "{}",
                row.begins
            );
        }
    }
}
