//! The fields of an action's `args` or an observation's `extras`: declared once, with their defaults.
//!
//! The wire has fields of several versions, so a reader fills in what is missing; what an action
//! can't do without is still demanded, by name.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// One field on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// It has no default.
    pub(crate) required: bool,
}

/// A struct declared by [`fields!`].
pub(crate) trait Fields: DeserializeOwned {
    const FIELDS: &'static [Field];
}

/// Reads a struct; the error names the field at fault. Unknown fields are passed over.
pub(crate) fn decode<T: Fields>(map: &Map<String, Value>) -> Result<T, String> {
    if let Some(missing) = T::FIELDS.iter().find(|f| f.required && !map.contains_key(f.name)) {
        return Err(format!("`{}` is missing", missing.name));
    }
    T::deserialize(map).map_err(|whole| {
        // Each field alone is a whole struct, thanks to the defaults; so the one at fault is found.
        map.iter()
            .find_map(|(name, value)| {
                let alone = Map::from_iter([(name.clone(), value.clone())]);
                let error = T::deserialize(&alone).err()?;
                Some(format!("`{name}`: {}", short(&error.to_string())))
            })
            .unwrap_or_else(|| short(&whole.to_string()))
    })
}

/// A caller's text cut to what a reason may repeat of it.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Declares structs with public fields; one without a default is required on the wire.
macro_rules! fields {
    (@required) => { true };
    (@required $default:expr) => { false };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    ($(
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty $(= $default:expr)? ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(default)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::fields::fields!(@default $($default)?), )* }
            }
        }

        impl $crate::fields::Fields for $name {
            const FIELDS: &'static [$crate::fields::Field] = &[$(
                $crate::fields::Field {
                    name: stringify!($field),
                    required: $crate::fields::fields!(@required $($default)?),
                },
            )*];
        }
    )*};
}
pub(crate) use fields;

/// A reference to a struct's schema, in which the required fields are required and have no default.
#[cfg(feature = "schema")]
pub(crate) fn schema_of<T: Fields + schemars::JsonSchema>(
    generator: &mut schemars::SchemaGenerator,
) -> schemars::Schema {
    let reference = generator.subschema_for::<T>();
    let required: Vec<_> = T::FIELDS.iter().filter(|f| f.required).map(|f| f.name).collect();
    let definition = generator.definitions_mut().get_mut(&*T::schema_name());
    if let Some(definition) = definition.and_then(Value::as_object_mut) {
        for name in &required {
            let property = definition.get_mut("properties").and_then(|all| all.get_mut(*name));
            if let Some(property) = property.and_then(Value::as_object_mut) {
                property.remove("default");
            }
        }
        if !required.is_empty() {
            definition.insert("required".to_owned(), required.into());
        }
    }
    reference
}
