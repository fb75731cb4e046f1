//! The Dockerfile of a runtime image. Pure.
//!
//! The template and the scripts that its steps run are in `templates/runtime`; `view::View` is all
//! that the template gets. Steps that need tools of their own (pip, npm) run in helper stages, of which only
//! the result is copied.

mod denied;
mod downloads;
mod mirrors;
mod packages;
mod quote;
mod shipped;
mod view;
mod wants;

use tera::{Context, Tera};

pub use self::{
    denied::RecipeDenied,
    shipped::{NODE_VERSION, VSCODE_VERSION, recipe_digest},
};
pub(crate) use self::{
    downloads::{jupyter_lock, local_archives, node_lock},
    shipped::{SHIPPED, TEMPLATE},
};
use crate::{base::BaseFacts, inputs::Inputs, stages::Stage};

/// One Dockerfile that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub inputs: &'a Inputs,
    /// Of the inputs' base image, whatever this Dockerfile begins from.
    pub facts: &'a BaseFacts,
    /// The image after `FROM`.
    pub base: &'a str,
    /// The parts that are made, in order; each becomes a stage of the Dockerfile.
    pub stages: &'a [Stage],
    /// The builder understands `RUN --mount` (`BuildKit`).
    pub mounts: bool,
    /// There are certificates in the context's folder `ca`.
    pub ca: bool,
}

/// The Dockerfile. The same request gives the same bytes.
pub fn render(request: &Request<'_>) -> Result<String, RecipeDenied> {
    let view = view::View::new(request)?;
    Ok(fill_in(&view))
}

fn fill_in(view: &view::View) -> String {
    let mut tera = Tera::default();
    tera.add_raw_template("Dockerfile", TEMPLATE).expect("the template is tested");
    let mut context = Context::new();
    context.insert("r", view);
    let text = tera.render("Dockerfile", &context).expect("the view has what the template names");
    format!("{}\n", text.trim())
}

#[cfg(test)]
mod tests;
