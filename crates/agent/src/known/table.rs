//! The table of models. Pure.
//!
//! Looked up on 2026-11-26, in the makers' own pages of models and prices where they could be read (Anthropic,
//! DeepSeek), else in notes of releases and tables of third parties that quote those pages between 2026-05 and
//! 2026-11 (OpenAI, Google, Mistral, Qwen). Prices are those of short questions at the standard tier and, where
//! hours differ, of the dear ones; a longer question may cost more. Whoever pays something else says so in the
//! settings of the model. A row without a price is one whose sources differ.

use crate::settings::Price;

/// One family of models.
#[derive(Debug)]
pub(super) struct Row {
    /// How its names begin.
    pub(super) begins: &'static str,
    /// Tokens in, tokens out.
    pub(super) window: u64,
    pub(super) output: u64,
    /// `t` tools, `v` pictures, `r` reasoning.
    pub(super) can: &'static str,
    /// The host, or the domain, where these prices hold.
    pub(super) sold_at: &'static str,
    /// Input, output, cache read, cache write; US dollars for a million tokens. A zero for a cache is no own price: it costs as input does.
    prices: Option<[f64; 4]>,
}

impl Row {
    pub(super) fn price(&self) -> Option<Price> {
        let [input, output, cache_read, cache_write] = self.prices?;
        let or_input = |cache: f64| if cache > 0.0 { cache } else { input };
        let (cache_read, cache_write) = (or_input(cache_read), or_input(cache_write));
        Some(Price { input, output, cache_read, cache_write })
    }
}

const ANTHROPIC: &str = "api.anthropic.com";
const OPENAI: &str = "api.openai.com";
const GOOGLE: &str = "generativelanguage.googleapis.com";
const DEEPSEEK: &str = "api.deepseek.com";
const MISTRAL: &str = "api.mistral.ai";
const ALIBABA: &str = "aliyuncs.com";
/// Open weights, sold by many.
const NOBODY: &str = "invalid";

const K: u64 = 1_000;
const M: u64 = 1_000_000;

const fn row(
    begins: &'static str,
    (window, output): (u64, u64),
    can: &'static str,
    sold_at: &'static str,
    prices: Option<[f64; 4]>,
) -> Row {
    Row { begins, window, output, can, sold_at, prices }
}

pub(super) const TABLE: &[Row] = &[
    // Anthropic
    row("claude-fable-5-1", (M, 128 * K), "tvr", ANTHROPIC, Some([10.0, 50.0, 0.25, 12.5])),
    row("claude-fable-5", (M, 128 * K), "tvr", ANTHROPIC, Some([10.0, 50.0, 1.0, 12.5])),
    row("claude-mythos-5-1", (M, 128 * K), "tvr", ANTHROPIC, Some([10.0, 50.0, 0.25, 12.5])),
    row("claude-mythos-5", (M, 128 * K), "tvr", ANTHROPIC, Some([10.0, 50.0, 1.0, 12.5])),
    row("claude-opus-5-5", (M, 128 * K), "tvr", ANTHROPIC, Some([4.0, 20.0, 0.2, 5.0])),
    row("claude-opus-5", (M, 128 * K), "tvr", ANTHROPIC, Some([5.0, 25.0, 0.5, 6.25])),
    row("claude-opus-4-8", (M, 128 * K), "tvr", ANTHROPIC, Some([5.0, 25.0, 0.5, 6.25])),
    row("claude-opus-4-7", (M, 64 * K), "tvr", ANTHROPIC, Some([5.0, 25.0, 0.5, 6.25])),
    row("claude-opus-4-6", (200 * K, 64 * K), "tvr", ANTHROPIC, Some([5.0, 25.0, 0.5, 6.25])),
    row("claude-opus-4-5", (200 * K, 64 * K), "tvr", ANTHROPIC, Some([5.0, 25.0, 0.5, 6.25])),
    row("claude-opus-4", (200 * K, 32 * K), "tvr", ANTHROPIC, Some([15.0, 75.0, 1.5, 18.75])),
    row("claude-sonnet-5-5", (M, 128 * K), "tvr", ANTHROPIC, Some([2.0, 10.0, 0.1, 2.5])),
    row("claude-sonnet-5", (M, 64 * K), "tvr", ANTHROPIC, Some([2.0, 10.0, 0.2, 2.5])),
    row("claude-sonnet-4", (200 * K, 64 * K), "tvr", ANTHROPIC, Some([3.0, 15.0, 0.3, 3.75])),
    // The price of questions over 100,000 tokens, which an agent's soon are.
    row("claude-haiku-5-5", (M, 128 * K), "tvr", ANTHROPIC, Some([0.5, 2.5, 0.05, 0.625])),
    row("claude-haiku-4-5", (200 * K, 64 * K), "tvr", ANTHROPIC, Some([1.0, 5.0, 0.1, 1.25])),
    row("claude-3-7-sonnet", (200 * K, 64 * K), "tvr", ANTHROPIC, Some([3.0, 15.0, 0.3, 3.75])),
    row("claude-3-5-haiku", (200 * K, 8_192), "tv", ANTHROPIC, Some([0.8, 4.0, 0.08, 1.0])),
    row("claude-3-5-sonnet", (200 * K, 8_192), "tv", ANTHROPIC, Some([3.0, 15.0, 0.3, 3.75])),
    row("claude-3", (200 * K, 4_096), "tv", ANTHROPIC, None),
    row("claude-", (200 * K, 32 * K), "tvr", ANTHROPIC, None),
    // OpenAI
    row("gpt-6-astra", (922 * K, 128 * K), "tvr", OPENAI, Some([10.0, 50.0, 1.0, 12.5])),
    row("gpt-6.1-sol", (922 * K, 128 * K), "tvr", OPENAI, Some([2.0, 10.0, 0.1, 2.5])),
    row("gpt-6-sol", (922 * K, 128 * K), "tvr", OPENAI, Some([2.0, 10.0, 0.2, 2.5])),
    row("gpt-6-luna", (922 * K, 128 * K), "tvr", OPENAI, Some([0.1, 0.5, 0.01, 0.125])),
    row("gpt-6", (922 * K, 128 * K), "tvr", OPENAI, None),
    row("gpt-5.6-terra", (922 * K, 128 * K), "tvr", OPENAI, Some([2.0, 12.0, 0.2, 0.0])),
    row("gpt-5.6-luna", (922 * K, 128 * K), "tvr", OPENAI, Some([0.2, 1.2, 0.02, 0.0])),
    row("gpt-5.6", (922 * K, 128 * K), "tvr", OPENAI, None),
    row("gpt-5-mini", (272 * K, 128 * K), "tvr", OPENAI, Some([0.25, 2.0, 0.025, 0.0])),
    row("gpt-5-nano", (272 * K, 128 * K), "tvr", OPENAI, Some([0.05, 0.4, 0.005, 0.0])),
    row("gpt-5-", (272 * K, 128 * K), "tvr", OPENAI, Some([1.25, 10.0, 0.125, 0.0])),
    row("gpt-5", (272 * K, 128 * K), "tvr", OPENAI, None),
    row("gpt-4.1-mini", (M, 32_768), "tv", OPENAI, Some([0.4, 1.6, 0.1, 0.0])),
    row("gpt-4.1-nano", (M, 32_768), "tv", OPENAI, Some([0.1, 0.4, 0.025, 0.0])),
    row("gpt-4.1", (M, 32_768), "tv", OPENAI, Some([2.0, 8.0, 0.5, 0.0])),
    row("gpt-4o-mini", (128 * K, 16_384), "tv", OPENAI, Some([0.15, 0.6, 0.075, 0.0])),
    row("gpt-4o", (128 * K, 16_384), "tv", OPENAI, Some([2.5, 10.0, 1.25, 0.0])),
    row("o4-mini", (200 * K, 100 * K), "tvr", OPENAI, Some([1.1, 4.4, 0.275, 0.0])),
    row("o3-mini", (200 * K, 100 * K), "tr", OPENAI, Some([1.1, 4.4, 0.55, 0.0])),
    row("o3", (200 * K, 100 * K), "tvr", OPENAI, Some([2.0, 8.0, 0.5, 0.0])),
    row("gpt-oss", (131_072, 32_768), "tr", NOBODY, None),
    // Google
    row("gemini-3.8-flash", (1_048_576, 65_536), "tvr", GOOGLE, Some([0.75, 3.75, 0.0, 0.0])),
    row("gemini-3.6-flash", (1_048_576, 65_536), "tvr", GOOGLE, Some([1.5, 7.5, 0.15, 0.0])),
    row("gemini-3.5-flash-lite", (1_048_576, 65_536), "tvr", GOOGLE, Some([0.3, 2.5, 0.03, 0.0])),
    row("gemini-3.5-flash", (1_048_576, 65_536), "tvr", GOOGLE, Some([1.5, 9.0, 0.15, 0.0])),
    row("gemini-3.1-flash-lite", (1_048_576, 65_536), "tvr", GOOGLE, Some([0.25, 1.5, 0.0, 0.0])),
    row("gemini-3.1-pro", (1_048_576, 65_536), "tvr", GOOGLE, Some([2.0, 12.0, 0.2, 0.0])),
    row("gemini-3-flash", (1_048_576, 65_536), "tvr", GOOGLE, Some([0.5, 3.0, 0.0, 0.0])),
    row("gemini-2.5-flash-lite", (1_048_576, 65_536), "tvr", GOOGLE, Some([0.1, 0.4, 0.0, 0.0])),
    row("gemini-2.5-flash", (1_048_576, 65_536), "tvr", GOOGLE, Some([0.3, 2.5, 0.0, 0.0])),
    row("gemini-2.5-pro", (1_048_576, 65_536), "tvr", GOOGLE, Some([1.25, 10.0, 0.0, 0.0])),
    row("gemini-2.0", (1_048_576, 8_192), "tv", GOOGLE, None),
    row("gemini-1", (1_048_576, 8_192), "tv", GOOGLE, None),
    row("gemini-", (1_048_576, 65_536), "tvr", GOOGLE, None),
    row("gemma", (32_768, 8_192), "v", NOBODY, None),
    // DeepSeek
    row("deepseek-flash", (M, 384 * K), "tvr", DEEPSEEK, Some([0.3, 1.2, 0.006, 0.0])),
    row("deepseek-v4-flash", (M, 384 * K), "tvr", DEEPSEEK, Some([0.3, 1.2, 0.006, 0.0])),
    row("deepseek-v4-pro", (M, 384 * K), "tr", DEEPSEEK, Some([1.32, 3.96, 0.044, 0.0])),
    row("deepseek-r1", (65_536, 8_192), "r", NOBODY, None),
    row("deepseek-", (131_072, 8_192), "t", NOBODY, None),
    // Mistral
    row("mistral-large", (131_072, 32_768), "tv", MISTRAL, None),
    row("magistral-medium", (131_072, 32_768), "tr", MISTRAL, Some([2.0, 5.0, 0.0, 0.0])),
    row("devstral-medium", (262_144, 32_768), "t", MISTRAL, Some([0.4, 2.0, 0.0, 0.0])),
    row("devstral-2512", (262_144, 32_768), "t", MISTRAL, Some([0.4, 2.0, 0.0, 0.0])),
    row("devstral-small", (131_072, 32_768), "t", MISTRAL, Some([0.1, 0.3, 0.0, 0.0])),
    row("devstral", (131_072, 32_768), "t", NOBODY, None),
    row("codestral", (256 * K, 32_768), "t", MISTRAL, Some([0.3, 0.9, 0.0, 0.0])),
    row("ministral-8b", (131_072, 32_768), "t", MISTRAL, Some([0.1, 0.1, 0.0, 0.0])),
    row("mistral", (32_768, 8_192), "t", NOBODY, None),
    // Qwen
    row("qwen3.8-max", (991 * K, 65_536), "tvr", ALIBABA, Some([2.0, 6.0, 0.0, 0.0])),
    row("qwen3-coder", (262_144, 65_536), "t", NOBODY, None),
    row("qwen3", (131_072, 32_768), "tr", NOBODY, None),
    row("qwen2.5-coder", (32_768, 8_192), "", NOBODY, None),
    row("qwen2.5", (32_768, 8_192), "t", NOBODY, None),
    // Others with open weights; those that call no tools in a form of their own
    row("llama3.1", (131_072, 8_192), "t", NOBODY, None),
    row("llama-3.1", (131_072, 8_192), "t", NOBODY, None),
    row("llama3.3", (131_072, 8_192), "t", NOBODY, None),
    row("llama-3.3", (131_072, 8_192), "t", NOBODY, None),
    row("llama-4", (131_072, 8_192), "tv", NOBODY, None),
    row("llama4", (131_072, 8_192), "tv", NOBODY, None),
    row("llama2", (4_096, 2_048), "", NOBODY, None),
    row("llama3", (8_192, 2_048), "", NOBODY, None),
    row("codellama", (16_384, 4_096), "", NOBODY, None),
    row("phi3", (131_072, 4_096), "", NOBODY, None),
    row("phi4", (16_384, 4_096), "", NOBODY, None),
];
