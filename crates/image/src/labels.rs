//! What an image says of itself, in labels. Pure.
//!
//! The inputs stand in one of them as JSON ([`Described`]): whoever has the image, or only a list of images, can
//! read them. Credentials in addresses are in neither the values nor their digests. Of a build argument there is
//! a digest, against which a guess can be tried: one is no place for a password. Other words of extra lines stand
//! there as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    fields::{Field, fields, normalised},
    inputs::Inputs,
    refs::RefDenied,
    stages::{BuildFrom, Stage},
};

/// Which of the three images it is: `versioned`, `lock` or `source`. Every image of ours has it.
pub const IMAGE: &str = "staithe.image";
/// The base image's name.
pub const BASE: &str = "staithe.image.base";
/// The engine's id of the base image, as it was when this one was built.
pub const BASE_ID: &str = "staithe.image.base_id";
/// Digest of the template and all that is shipped with it.
pub const RECIPE: &str = "staithe.image.recipe";
/// The version of Staithe.
pub const VERSION: &str = "staithe.image.version";
/// The inputs that count for it, described.
pub const INPUTS: &str = "staithe.image.inputs";

/// One input as it is described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub stage: Stage,
    /// For people: credentials in addresses are hidden, and what is long is cut.
    pub value: String,
    /// Of the value to its end, but for credentials in addresses: tells whether it is the same.
    pub digest: String,
}

impl From<&Field> for Shown {
    fn from(field: &Field) -> Self {
        Self { stage: field.stage, value: field.shown(), digest: field.digest() }
    }
}

/// Inputs as they stand in a label, by their names. One that is empty is left out, so what an older version did
/// not know is not a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Described {
    pub inputs: BTreeMap<String, Shown>,
}

impl Described {
    /// Describes them all. `recipe` is the digest of the template and all that is shipped with it.
    pub fn of(inputs: &Inputs, recipe: &str) -> Result<Self, RefDenied> {
        let fields = fields(&normalised(inputs)?, recipe);
        let inputs = fields.iter().map(|field| (field.name.clone(), Shown::from(field))).collect();
        Ok(Self { inputs })
    }

    /// Those that count for a stage.
    #[must_use]
    pub fn up_to(mut self, stage: Stage) -> Self {
        self.inputs.retain(|_, shown| shown.stage <= stage);
        self
    }

    /// The same inputs of a stage and those before it made both, so one can be built on the other. In doubt they
    /// did: credentials in addresses are not compared.
    pub fn is_same_up_to(&self, other: &Self, stage: Stage) -> bool {
        let part = |described: &Self| {
            let counts = described.inputs.iter().filter(|(_, shown)| shown.stage <= stage);
            counts.map(|(name, shown)| (name.clone(), shown.digest.clone())).collect::<Vec<_>>()
        };
        part(self) == part(other)
    }
}

/// What the labels of one of our images say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub stage: Stage,
    pub base: String,
    /// Empty: it was not known.
    pub base_id: String,
    pub recipe: String,
    pub version: String,
    /// None: it can't be read, as when a later version wrote it otherwise.
    pub described: Option<Described>,
}

impl Made {
    /// This image can be what `other` was built on. In doubt it is: which base that was need not be known.
    pub fn carries(&self, other: &Self) -> bool {
        let same = |ours: &Described, theirs: &Described| ours.is_same_up_to(theirs, self.stage);
        let unknown = self.base_id.is_empty() || other.base_id.is_empty();
        self.stage < other.stage
            && (unknown || self.base_id == other.base_id)
            && self
                .described
                .as_ref()
                .zip(other.described.as_ref())
                .is_some_and(|(a, b)| same(a, b))
    }
}

/// The word for the image that a stage ends with.
pub fn image_word(stage: Stage) -> &'static str {
    match stage {
        Stage::System => "versioned",
        Stage::Deps => "lock",
        Stage::Final => "source",
    }
}

/// The labels of the image that `stage` ends with. `base_id`: the engine's id of the base image, empty when it
/// isn't known. Whose it is, is for the caller to add.
pub fn labels(
    stage: Stage,
    inputs: &Inputs,
    recipe: &str,
    base_id: &str,
) -> Result<BTreeMap<String, String>, RefDenied> {
    let inputs = normalised(inputs)?;
    // Only what counts for it: builds with other extra lines share this image.
    let described = Described::of(&inputs, recipe)?.up_to(stage);
    let described = serde_json::to_string(&described).unwrap_or_default();
    Ok(BTreeMap::from([
        (IMAGE.to_owned(), image_word(stage).to_owned()),
        (BASE.to_owned(), inputs.base_image),
        (BASE_ID.to_owned(), base_id.to_owned()),
        (RECIPE.to_owned(), recipe.to_owned()),
        (VERSION.to_owned(), inputs.version),
        (INPUTS.to_owned(), described),
    ]))
}

/// Reads an image's labels; none when it is not one of ours.
pub fn read(labels: &BTreeMap<String, String>) -> Option<Made> {
    let word = |label: &str| labels.get(label).cloned().unwrap_or_default();
    let image = labels.get(IMAGE)?;
    let stage =
        BuildFrom::Scratch.stages().iter().copied().find(|stage| image_word(*stage) == image)?;
    Some(Made {
        stage,
        base: word(BASE),
        base_id: word(BASE_ID),
        recipe: word(RECIPE),
        version: word(VERSION),
        described: serde_json::from_str(&word(INPUTS)).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fields::MOST_SHOWN,
        inputs::Mirrors,
        names::Names,
        samples::{RECIPE as SHIPPED, inputs},
    };

    fn shown(inputs: &Inputs, name: &str) -> String {
        Described::of(inputs, SHIPPED).unwrap().inputs.remove(name).unwrap().value
    }

    #[test]
    fn what_was_written_is_read() {
        for stage in [Stage::System, Stage::Deps, Stage::Final] {
            let labels = labels(stage, &inputs(), SHIPPED, "sha256:base").unwrap();
            let made = read(&labels).unwrap();
            assert_eq!(made.stage, stage);
            assert_eq!((made.base.as_str(), made.base_id.as_str()), ("debian:12", "sha256:base"));
            assert_eq!((made.recipe.as_str(), made.version.as_str()), (SHIPPED, "0.1.0"));
            let described = Described::of(&inputs(), SHIPPED).unwrap().up_to(stage);
            assert_eq!(made.described, Some(described));
        }
    }

    #[test]
    fn an_image_that_builds_share_says_nothing_of_what_they_do_not_share() {
        let other = Inputs { extra_deps: "other".into(), ..inputs() };
        let of = |stage, inputs: &Inputs| labels(stage, inputs, SHIPPED, "").unwrap();
        assert_eq!(of(Stage::Deps, &inputs()), of(Stage::Deps, &other));
        assert_ne!(of(Stage::Final, &inputs()), of(Stage::Final, &other));
        assert_ne!(of(Stage::System, &inputs())[INPUTS], of(Stage::Deps, &inputs())[INPUTS]);
    }

    #[test]
    fn others_images_are_not_read_and_strange_inputs_are_no_hindrance() {
        assert_eq!(read(&BTreeMap::new()), None);
        assert_eq!(read(&BTreeMap::from([(IMAGE.into(), "new".into())])), None);
        let labels = BTreeMap::from([(IMAGE.into(), "lock".into()), (INPUTS.into(), "{".into())]);
        let made = read(&labels).unwrap();
        assert_eq!((made.stage, made.described), (Stage::Deps, None));
    }

    #[test]
    fn no_secret_stands_in_a_label() {
        let mut inputs = inputs();
        inputs.build_args.insert("TOKEN".into(), "s3cret".into());
        inputs.mirrors.pypi = "https://ann:s3cret@pypi.example/simple".into();
        inputs.node.source = "http://x.example/node.tar.xz?sig=s3cret".into();
        inputs.extra_deps = "curl \"https://s3cret@h/a\" # '\nwget ftp://a:s3cret@h:21/b@c".into();
        inputs.jupyter_requirements = "--index-url https://s3cret@h/\na==1".into();
        let labels = labels(Stage::Final, &inputs, SHIPPED, "").unwrap();
        assert!(!format!("{labels:?}").contains("s3cret"), "{labels:?}");

        assert_eq!(shown(&inputs, "mirrors.pypi"), "https://<hidden>@pypi.example/simple");
        assert_eq!(shown(&inputs, "node.source"), "http://x.example/node.tar.xz?<hidden>");
        assert_eq!(
            shown(&inputs, "extra_deps"),
            "curl \"https://<hidden>@h/a\" # '\nwget ftp://<hidden>@h:21/b@c"
        );
        assert!(shown(&inputs, "jupyter_requirements").starts_with("2 lines <sha256:"));
    }

    /// Changes every field that can have an address in it.
    fn with_addresses(address: &str) -> Inputs {
        let mut inputs = inputs();
        let text = || address.to_owned();
        inputs.mirrors = Mirrors { apt: text(), apk: text(), pypi: text(), npm: text() };
        inputs.node.source = text();
        inputs.vscode.source = text();
        inputs.extra_deps = format!("curl {address} | sh\nid");
        inputs.jupyter_requirements = format!("a==1\nb @ {address}");
        inputs.build_args.insert("FROM".into(), text());
        inputs
    }

    #[test]
    fn no_password_can_be_tried_against_a_label() {
        let of = |address: &str| labels(Stage::Final, &with_addresses(address), SHIPPED, "");
        let without = of("https://<hidden>@h/a?<hidden>").unwrap();
        for address in ["https://ann:one@h/a?sig=1", "https://b@h/a?x?y#z", "https://:@@h/a?"] {
            // Nothing is left of it that a guess could be compared with.
            assert_eq!(of(address).unwrap()[INPUTS], without[INPUTS], "{address}");
        }
        assert_ne!(of("https://<hidden>@h/b?<hidden>").unwrap(), without);
        assert_ne!(of("https://h/a").unwrap(), without);
    }

    #[test]
    fn other_credentials_are_another_name() {
        let of = |address: &str| Names::of("r", &with_addresses(address), SHIPPED).unwrap();
        let [one, two] = ["https://ann:1@h/", "https://ann:2@h/"].map(of);
        for stage in [Stage::System, Stage::Deps, Stage::Final] {
            assert_ne!(one.of_stage(stage), two.of_stage(stage));
        }
    }

    #[test]
    fn an_address_without_secrets_is_shown_as_it_is() {
        let mut inputs = inputs();
        for address in ["https://h:8080/@scope/x", "file:///a/b", "x://", "no address", "a@b"] {
            inputs.vscode.source = address.into();
            assert_eq!(shown(&inputs, "vscode.source"), address);
        }
    }

    #[test]
    fn endless_lines_are_cut_and_differ_nevertheless() {
        let long = |end: &str| Inputs { extra_deps: "ä".repeat(MOST_SHOWN) + end, ..inputs() };
        let [one, two] = ["1", "2"].map(|end| Described::of(&long(end), SHIPPED).unwrap());
        let value = &one.inputs["extra_deps"].value;
        assert!(value.len() < MOST_SHOWN + 30 && value.ends_with("bytes more)"), "{}", value.len());
        assert!(!one.is_same_up_to(&two, Stage::Final) && one.is_same_up_to(&two, Stage::Deps));
    }

    #[test]
    fn an_image_carries_those_that_were_built_on_it() {
        let made = |stage, inputs: &Inputs, base_id| {
            read(&labels(stage, inputs, SHIPPED, base_id).unwrap()).unwrap()
        };
        let lock = made(Stage::Deps, &inputs(), "1");
        let extra = Inputs { extra_deps: "other".into(), ..inputs() };
        let user = Inputs { user: "ann:1000".into(), ..inputs() };
        assert!(lock.carries(&made(Stage::Final, &extra, "1")));
        assert!(!lock.carries(&made(Stage::Final, &extra, "2")), "on another base");
        assert!(lock.carries(&made(Stage::Final, &extra, "")), "on a base that is not known");
        assert!(!lock.carries(&made(Stage::Final, &user, "1")), "with another user");
        assert!(!lock.carries(&made(Stage::Deps, &inputs(), "1")), "itself");
        assert!(made(Stage::System, &inputs(), "1").carries(&lock));
    }
}
