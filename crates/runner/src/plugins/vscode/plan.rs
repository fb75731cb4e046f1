//! What a VS Code server is started with. Pure.

use std::{ffi::OsString, path::Path};

/// In its folder: what opens it.
pub const TOKEN_FILE: &str = "token";

/// Its settings where nobody set others: no welcome, no updates, nothing that asks for an account.
pub const SETTINGS: &str = r#"{
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoCheckUpdates": false
}
"#;

/// Seconds that a window which lost its line may take to come back to the same programs.
const RECONNECT: &str = "3600";

/// Its arguments; `dir` is its folder.
pub fn arguments(port: u16, base_path: &str, dir: &Path) -> Vec<OsString> {
    let token = dir.join(TOKEN_FILE);
    let port = port.to_string();
    let plain = |text: &str| OsString::from(text);
    vec![
        plain("--host"),
        plain("127.0.0.1"),
        plain("--port"),
        plain(&port),
        plain("--connection-token-file"),
        token.into(),
        plain("--server-base-path"),
        plain(base_path),
        plain("--server-data-dir"),
        dir.into(),
        plain("--accept-server-license-terms"),
        plain("--telemetry-level"),
        plain("off"),
        plain("--disable-workspace-trust"),
        plain("--reconnection-grace-time"),
        plain(RECONNECT),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_loopback_alone_and_its_token_stands_in_a_file() {
        let all = arguments(4000, "/s/x/p/4000", Path::new("/state/vscode"));
        let text: Vec<_> = all.iter().map(|word| word.to_string_lossy()).collect();
        let after = |flag: &str| {
            let at = text.iter().position(|word| word == flag).unwrap();
            text[at + 1].clone()
        };
        assert_eq!(after("--host"), "127.0.0.1");
        assert_eq!(after("--connection-token-file"), "/state/vscode/token");
        assert_eq!(after("--server-base-path"), "/s/x/p/4000");
        assert!(!text.iter().any(|word| word == "--without-connection-token"));
    }

    #[test]
    fn the_settings_are_json() {
        let settings: serde_json::Value = serde_json::from_str(SETTINGS).unwrap();
        assert_eq!(settings["telemetry.telemetryLevel"], "off");
    }
}
