//! What was installed, part by part: read from the lists that lie in the image. Pure.
//!
//! Each is a file `NN-<part>.txt` in [`FOLDER`]. Its first line is `# <part> <stage>`, any other one a package
//! URL (purl). A step that installs ends in [`STEP`] and the part; what was made beside the image is copied from
//! [`COPIED`] with its list. So the image's history tells the size of each.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Serialize;
use serde_json::{Value, json};

use crate::stages::{BuildFrom, Stage};

/// Where the lists lie in an image.
pub const FOLDER: &str = "/opt/staithe/sbom";
/// What a step says before its part's name.
pub const STEP: &str = "staithe-sbom record ";

/// Where a stage beside the image puts what is copied into it.
pub const COPIED: &str = "/staithe-root/";
/// The part that is copied together with every other one of its stage.
const TOOLS: &str = "tools";

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Package {
    /// As it was written.
    pub purl: String,
    /// `deb`, `rpm`, `apk`, `pypi`, `npm`, `generic` …
    pub kind: String,
    /// A distribution, or npm's scope with its `@`; empty: none.
    pub namespace: String,
    pub name: String,
    /// Empty: not known.
    pub version: String,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    pub part: String,
    /// None: it does not say.
    pub stage: Option<Stage>,
    pub packages: Vec<Package>,
    /// Lines that are no package URLs, each with its number.
    pub bad: Vec<(usize, String)>,
}

/// One step of an image's history with what it brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerView {
    /// As the builder wrote it; empty: the list belongs to no step that can be told.
    pub created_by: String,
    /// Bytes.
    pub size: u64,
    pub records: Vec<Record>,
}

/// Reads one list. `name`: its file's name, which stands in for a first line that says nothing.
pub fn parse(name: &str, text: &str) -> Record {
    let file = name.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".txt").unwrap_or(file);
    let from_name = match file.split_once('-') {
        Some((number, part)) if number.bytes().all(|b| b.is_ascii_digit()) => part,
        _ => file,
    };
    let mut record =
        Record { part: from_name.to_owned(), stage: None, packages: Vec::new(), bad: Vec::new() };
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some((part, stage)) = heading(line).filter(|_| at == 0) {
            (record.part, record.stage) = (part.to_owned(), Some(stage));
        } else if let Some(package) = package(line) {
            record.packages.push(package);
        } else if !line.is_empty() {
            record.bad.push((at + 1, line.to_owned()));
        }
    }
    record
}

/// The bill of materials of an image, in version 1.5 of the format `CycloneDX`. `id`: the engine's, `sha256:…`.
/// `created`: as in RFC 3339; empty: not known. A package that several parts have is one component.
pub fn cyclonedx(image: &str, id: &str, created: &str, records: &[Record]) -> Value {
    let mut components: Vec<(&Package, Vec<Value>)> = Vec::new();
    for record in records {
        let layer = json!({ "name": "staithe:layer", "value": record.part });
        for package in &record.packages {
            components.push((package, vec![layer.clone()]));
        }
    }
    components.sort_by_key(|(package, _)| *package);
    components.dedup_by(|(later, layers), (first, all)| {
        let same = later == first;
        if same {
            layers.retain(|layer| !all.contains(layer));
            all.append(layers);
        }
        same
    });
    let components: Vec<Value> =
        components.into_iter().map(|(package, layers)| component(package, &layers)).collect();

    let mut subject = json!({ "type": "container", "bom-ref": id, "name": image, "version": id });
    if let Some(hex) = id.strip_prefix("sha256:") {
        subject["hashes"] = json!([{ "alg": "SHA-256", "content": hex }]);
    }
    let mut metadata = json!({ "component": subject });
    if !created.is_empty() {
        metadata["timestamp"] = created.into();
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": metadata,
        "components": components,
    })
}

/// The steps of an image's history, oldest first, each with the lists that came by it; then the lists for which
/// no step is found. `records`: in the order of their files' names, which is that of the steps.
pub fn by_layer(records: &[Record], layers: &[(String, u64)]) -> Vec<LayerView> {
    let view = |(created_by, size): &(String, u64)| LayerView {
        created_by: created_by.clone(),
        size: *size,
        records: Vec::new(),
    };
    let mut views: Vec<LayerView> = layers.iter().map(view).collect();
    let (copied, installed): (Vec<&Record>, Vec<&Record>) =
        records.iter().partition(|record| record.stage == Some(Stage::Deps));
    let mut left = Vec::new();
    for record in installed {
        match views.iter_mut().rfind(|view| writes(&view.created_by, &record.part)) {
            Some(view) => view.records.push(record.clone()),
            None => left.push(record.clone()),
        }
    }
    // Copies look alike, but nothing is copied after these: counted from the end, they are in order.
    let together = copied.iter().any(|record| record.part == TOOLS);
    let mut candidates: Vec<&mut LayerView> =
        views.iter_mut().rev().filter(|view| copies(&view.created_by)).collect();
    for (place, record) in copied.iter().rev().enumerate() {
        match candidates.get_mut(if together { 0 } else { place }) {
            Some(view) => view.records.insert(0, (*record).clone()),
            None => left.push((*record).clone()),
        }
    }
    if !left.is_empty() {
        views.push(LayerView { created_by: String::new(), size: 0, records: left });
    }
    views
}

fn component(package: &Package, layers: &[Value]) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "purl": package.purl,
        "properties": layers,
    });
    for (key, value) in [("group", &package.namespace), ("version", &package.version)] {
        if !value.is_empty() {
            component[key] = value.as_str().into();
        }
    }
    component
}

/// The part and the stage of `# <part> <stage>`.
fn heading(line: &str) -> Option<(&str, Stage)> {
    let (part, word) = line.strip_prefix('#')?.trim().split_once(' ')?;
    let mut stages = BuildFrom::Scratch.stages().iter();
    Some((part, *stages.find(|stage| stage.as_str() == word.trim())?))
}

/// The step's command wrote the list of this part.
fn writes(created_by: &str, part: &str) -> bool {
    created_by.split(STEP).skip(1).any(|rest| {
        rest.strip_prefix(part).is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || "-_.".contains(c))
        })
    })
}

/// The step copied what was made beside the image, in the words of `BuildKit` or of the classic builder.
fn copies(created_by: &str) -> bool {
    let classic = created_by.contains("COPY dir:") && created_by.trim_end().ends_with(" in /");
    classic || created_by.contains("COPY ") && created_by.contains(COPIED)
}

/// Reads `pkg:type/namespace/name@version?qualifiers#subpath`.
fn package(purl: &str) -> Option<Package> {
    let rest = purl.strip_prefix("pkg:")?;
    if rest.contains(char::is_whitespace) {
        return None;
    }
    let rest = rest.split('#').next()?;
    let rest = rest.split('?').next()?;
    let (kind, rest) = rest.trim_start_matches('/').split_once('/')?;
    // An @ of the name itself is written %40.
    let (path, version) = rest.rsplit_once('@').unwrap_or((rest, ""));
    let path = path.trim_matches('/');
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-');
    let starts = kind.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if name.is_empty() || !starts || !kind.bytes().all(letter) {
        return None;
    }
    Some(Package {
        purl: purl.to_owned(),
        kind: kind.to_lowercase(),
        namespace: decoded(namespace)?,
        name: decoded(name)?,
        version: decoded(version)?,
    })
}

/// With every `%` and its two digits as the byte that they mean.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.extend(HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(purl: &str) -> Option<[String; 4]> {
        let Package { kind, namespace, name, version, .. } = package(purl)?;
        Some([kind, namespace, name, version])
    }

    #[test]
    fn a_package_url_comes_apart() {
        let table = [
            ("pkg:deb/debian/git@1:2.39.5", ["deb", "debian", "git", "1:2.39.5"]),
            ("pkg:deb/debian/g%2B%2B@4%3A12.2?arch=amd64", ["deb", "debian", "g++", "4:12.2"]),
            ("pkg:pypi/ipykernel@7.4.0", ["pypi", "", "ipykernel", "7.4.0"]),
            ("pkg:npm/code-server@4.112.0", ["npm", "", "code-server", "4.112.0"]),
            ("pkg:npm/%40vscode/spdlog@0.15.2#lib", ["npm", "@vscode", "spdlog", "0.15.2"]),
            ("pkg:generic/node@22.23.3", ["generic", "", "node", "22.23.3"]),
            ("pkg:golang/a.b/c/d@v1", ["golang", "a.b/c", "d", "v1"]),
            ("pkg:npm/x", ["npm", "", "x", ""]),
        ];
        for (purl, expected) in table {
            assert_eq!(parts(purl), Some(expected.map(str::to_owned)), "{purl}");
        }
        for purl in ["", "git", "pkg:", "pkg:deb", "pkg:deb/", "pkg:1/a", "pkg:a b/c", "pkg:a/%2"] {
            assert_eq!(parts(purl), None, "{purl}");
        }
        for purl in ["pkg:a/%ff", "pkg:a/%zz", "pkg:a/b@1 2", "pkg:a/%é"] {
            assert_eq!(parts(purl), None, "{purl}");
        }
    }

    #[test]
    fn a_list_tells_its_part_and_its_stage_and_what_it_could_not_read() {
        let record = parse(
            "/opt/staithe/sbom/30-jupyter.txt",
            "# jupyter deps\npkg:pypi/ipykernel@7.4.0\n\noops\r\n# late final\n",
        );
        assert_eq!((record.part.as_str(), record.stage), ("jupyter", Some(Stage::Deps)));
        assert_eq!(record.packages.len(), 1);
        assert_eq!(record.bad, [(4, "oops".into()), (5, "# late final".into())]);
    }

    #[test]
    fn a_files_name_stands_in_for_a_first_line() {
        let record = parse("10-my-part.txt", "pkg:npm/x@1");
        assert_eq!((record.part.as_str(), record.stage), ("my-part", None));
        assert_eq!((record.packages.len(), record.bad.len()), (1, 0));
        let record = parse("odd", "# system what\n");
        assert_eq!(record.part, "odd");
        assert_eq!(record.bad, [(1, "# system what".into())]);
    }

    #[test]
    fn a_bill_of_materials_names_every_package_once() {
        let records = [
            parse("10-system.txt", "# system system\npkg:deb/debian/git@2\npkg:npm/%40a/b@1"),
            parse("90-extra.txt", "# extra final\npkg:deb/debian/git@2\npkg:deb/debian/git@2\nx"),
        ];
        let bill = cyclonedx("r:t", "sha256:ab", "2026-01-02T03:04:05Z", &records);
        let layer = |part: &str| json!({ "name": "staithe:layer", "value": part });
        let expected = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "timestamp": "2026-01-02T03:04:05Z",
                "component": {
                    "type": "container",
                    "bom-ref": "sha256:ab",
                    "name": "r:t",
                    "version": "sha256:ab",
                    "hashes": [{ "alg": "SHA-256", "content": "ab" }],
                },
            },
            "components": [
                {
                    "type": "library",
                    "bom-ref": "pkg:deb/debian/git@2",
                    "group": "debian",
                    "name": "git",
                    "version": "2",
                    "purl": "pkg:deb/debian/git@2",
                    "properties": [layer("system"), layer("extra")],
                },
                {
                    "type": "library",
                    "bom-ref": "pkg:npm/%40a/b@1",
                    "group": "@a",
                    "name": "b",
                    "version": "1",
                    "purl": "pkg:npm/%40a/b@1",
                    "properties": [layer("system")],
                },
            ],
        });
        assert_eq!(bill, expected);
        assert_eq!(cyclonedx("r:t", "x", "", &[])["metadata"]["timestamp"], Value::Null);
    }

    #[test]
    fn a_step_of_the_history_has_the_list_that_it_wrote() {
        let [system, browser, extra] =
            ["system", "browser", "extra"].map(|part| parse(part, "pkg:npm/x@1"));
        let layers = [
            ("/bin/sh -c #(nop) ADD file:1 in /".to_owned(), 100),
            ("RUN /bin/sh -c a && staithe-sbom record system-2 # buildkit".to_owned(), 1),
            ("RUN /bin/sh -c a && /opt/staithe-sbom record system # buildkit".to_owned(), 30),
            ("/bin/sh -c 'staithe-sbom record browser'".to_owned(), 40),
        ];
        let records = [extra, browser, system];
        assert_eq!(
            told(&by_layer(&records, &layers)),
            expected(&[(100, ""), (1, ""), (30, "system"), (40, "browser"), (0, "extra")])
        );
    }

    /// Each step's size and the parts that came by it.
    fn told(views: &[LayerView]) -> Vec<(u64, String)> {
        let parts = |view: &LayerView| {
            let parts: Vec<&str> = view.records.iter().map(|record| record.part.as_str()).collect();
            parts.join(" ")
        };
        views.iter().map(|view| (view.size, parts(view))).collect()
    }

    fn expected(steps: &[(u64, &str)]) -> Vec<(u64, String)> {
        steps.iter().map(|(size, parts)| (*size, (*parts).to_owned())).collect()
    }

    #[test]
    fn what_was_copied_came_by_the_last_copies() {
        let list = |part: &str| parse(part, &format!("# {part} deps\npkg:npm/x@1"));
        let [jupyter, tools, vscode] = ["jupyter", "tools", "vscode"].map(list);
        let buildkit = "COPY /staithe-root/ / # buildkit";
        let classic = "/bin/sh -c #(nop) COPY dir:0f in / ";
        let history = |steps: &[&str]| -> Vec<(String, u64)> {
            steps.iter().zip(1..).map(|(step, size)| ((*step).to_owned(), size)).collect()
        };
        // The first is the base's own.
        for copy in [buildkit, classic] {
            let layers = history(&[classic, "COPY bin/ /opt/staithe/bin/", copy, copy, "RUN x"]);
            assert_eq!(
                told(&by_layer(&[jupyter.clone(), vscode.clone()], &layers)),
                expected(&[(1, ""), (2, ""), (3, "jupyter"), (4, "vscode"), (5, "")])
            );
            let all = [jupyter.clone(), tools.clone(), vscode.clone()];
            assert_eq!(
                told(&by_layer(&all, &history(&[classic, copy]))),
                expected(&[(1, ""), (2, "jupyter tools vscode")])
            );
        }
        assert_eq!(
            told(&by_layer(&[jupyter, vscode], &history(&[buildkit]))),
            expected(&[(1, "vscode"), (0, "jupyter")])
        );
    }

    proptest! {
        #[test]
        fn no_line_is_lost(lines in proptest::collection::vec("(pkg:[a-z%@/?#.0-9é]{0,9}|[^\r\n]{0,9})", 0..9)) {
            let record = parse("x", &lines.join("\n"));
            let kept = record.packages.len() + record.bad.len() + usize::from(record.stage.is_some());
            prop_assert_eq!(kept, lines.iter().filter(|line| !line.trim().is_empty()).count());
        }
    }
}
