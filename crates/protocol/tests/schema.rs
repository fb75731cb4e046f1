//! The schema in `docs` is that of the code. `STAITHE_BLESS=1` writes it anew.

use std::{env, fs, path::Path};

#[test]
fn the_schema_in_docs_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.schema.json");
    let mut document = staithe_protocol::schema::document();
    // Whether maps keep an order of their own depends on what else is built (genai turns it on).
    document.sort_all_objects();
    let mut made = serde_json::to_string_pretty(&document).unwrap();
    made.push('\n');
    if env::var_os("STAITHE_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is out of date; STAITHE_BLESS=1 cargo test -p staithe-protocol --all-features writes it",
        path.display()
    );
}

#[test]
fn every_reference_in_the_schema_leads_somewhere() {
    let document = staithe_protocol::schema::document();
    let text = document.to_string();
    for part in text.split("\"$ref\":\"").skip(1) {
        let reference = part.split('"').next().unwrap();
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
