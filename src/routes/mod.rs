//! The REST interface: one file for each resource, and where each address leads.

pub mod admin;
pub mod agent;
pub mod archives;
pub mod body;
pub mod code;
pub mod events;
pub mod files;
pub mod health;
pub mod links;
pub mod models;
pub mod pages;
pub mod plugins;
pub mod ports;
pub mod sessions;
pub mod terminals;
pub mod trajectory;
pub mod uploads;

use actix_web::{
    http::Method,
    web::{self, ServiceConfig},
};

use crate::{assets, auth::sign_in, error::ApiError, guard, openapi, ws};

/// Every route. Tests mount it too.
pub fn configure(app: &mut ServiceConfig) {
    let resource = |path: &str| web::resource(path).default_service(web::to(guard::wrong_method));
    let form =
        web::FormConfig::default().limit(64 * 1024).error_handler(|error, _| body::form(error));
    let query = web::QueryConfig::default()
        .error_handler(|error, _| ApiError::bad_request("request.malformed_query", error).into());
    let path = web::PathConfig::default()
        .error_handler(|error, _| ApiError::bad_request("request.malformed_path", error).into());
    app.app_data(form)
        .app_data(query)
        .app_data(path)
        .service(resource("/").route(web::get().to(pages::sessions)))
        .service(resource("/sessions/{id}").route(web::get().to(pages::session)))
        .service(resource("/admin").route(web::get().to(pages::admin)))
        .service(
            resource("/login")
                .route(web::get().to(sign_in::page))
                .route(web::post().to(sign_in::submit)),
        )
        .service(resource("/logout").route(web::post().to(sign_in::sign_out)))
        .service(resource("/static/{hash}/{path:.*}").route(web::get().to(assets::serve)))
        .service(resource("/health").route(web::get().to(health::health)))
        .service(resource("/metrics").route(web::get().to(health::metrics)))
        .service(resource("/api/openapi.json").route(web::get().to(openapi::document)))
        .service(
            resource("/api/sessions")
                .route(web::get().to(sessions::list))
                .route(web::post().to(sessions::create)),
        )
        .service(
            resource("/api/sessions/{id}")
                .route(web::get().to(sessions::get))
                .route(web::delete().to(sessions::delete)),
        )
        .service(resource("/api/sessions/{id}/title").route(web::put().to(sessions::retitle)))
        .service(resource("/api/sessions/{id}/log").route(web::get().to(sessions::log)))
        .service(resource("/api/sessions/{id}/start").route(web::post().to(sessions::start)))
        .service(resource("/api/sessions/{id}/stop").route(web::post().to(sessions::stop)))
        .service(
            resource("/api/sessions/{id}/interrupt").route(web::post().to(sessions::interrupt)),
        )
        .service(resource("/api/sessions/{id}/tokens").route(web::post().to(sessions::token)))
        .service(resource("/api/sessions/{id}/actions").route(web::post().to(events::act)))
        .service(resource("/api/sessions/{id}/events").route(web::get().to(events::range)))
        .service(
            resource("/api/sessions/{id}/events/{event}/output")
                .route(web::get().to(events::output)),
        )
        .service(resource("/api/sessions/{id}/ws").route(web::get().to(ws::join)))
        .configure(sharing)
        .configure(agents)
        .configure(workspace)
        .configure(services)
        .service(resource("/api/admin/sessions").route(web::get().to(admin::list)))
        .service(
            resource("/api/admin/sessions/{id}")
                .route(web::get().to(admin::get))
                .route(web::delete().to(sessions::delete)),
        )
        .service(resource("/api/admin/sessions/{id}/stop").route(web::post().to(sessions::stop)))
        .service(resource("/api/admin/sessions/{id}/log").route(web::get().to(admin::log)))
        .service(resource("/api/admin/drain").route(web::post().to(admin::drain)))
        .service(resource("/api/admin/reconcile").route(web::post().to(admin::reconcile)))
        .service(resource("/api/admin/overview").route(web::get().to(admin::overview)))
        .service(resource("/api/admin/engine").route(web::get().to(admin::engine)))
        .service(resource("/api/admin/config").route(web::get().to(admin::config)))
        .default_service(web::to(guard::not_found));
}

/// Links that let others into a session.
fn sharing(app: &mut ServiceConfig) {
    let resource = |path: &str| web::resource(path).default_service(web::to(guard::wrong_method));
    app.service(
        resource("/join").route(web::get().to(links::follow)).route(web::post().to(links::join)),
    )
    .service(
        resource("/api/sessions/{id}/links")
            .route(web::get().to(links::list))
            .route(web::post().to(links::create)),
    )
    .service(resource("/api/sessions/{id}/links/{link}").route(web::delete().to(links::remove)));
}

/// Agents and the models that they ask.
fn agents(app: &mut ServiceConfig) {
    let resource = |path: &str| web::resource(path).default_service(web::to(guard::wrong_method));
    app.service(resource("/api/models").route(web::get().to(models::list)))
        .service(
            resource("/api/models/{name}/key")
                .route(web::put().to(models::set_key))
                .route(web::delete().to(models::remove_key)),
        )
        .service(resource("/api/models/{name}/check").route(web::post().to(models::check)))
        .service(resource("/api/sessions/{id}/model").route(web::put().to(agent::choose_model)))
        .service(
            resource("/api/sessions/{id}/agent")
                .route(web::get().to(agent::get))
                .route(web::put().to(agent::choose)),
        )
        .service(resource("/api/sessions/{id}/trajectory").route(web::get().to(trajectory::get)));
}

/// What leads into a session's workspace.
fn workspace(app: &mut ServiceConfig) {
    let resource = |path: &str| web::resource(path).default_service(web::to(guard::wrong_method));
    app.service(
        resource("/api/sessions/{id}/files")
            .route(web::get().to(files::root))
            .route(web::post().to(files::operate)),
    )
    .service(
        resource("/api/sessions/{id}/files/{path:.*}")
            .route(web::get().to(files::get))
            .route(web::head().to(files::get))
            .route(web::put().to(files::put))
            .route(web::delete().to(files::delete)),
    )
    .service(
        resource("/api/sessions/{id}/uploads")
            .route(web::method(Method::OPTIONS).to(uploads::options))
            .route(web::post().to(uploads::create)),
    )
    .service(
        resource("/api/sessions/{id}/uploads/{upload}")
            .route(web::head().to(uploads::go_on))
            .route(web::patch().to(uploads::go_on))
            .route(web::delete().to(uploads::go_on)),
    )
    .service(
        resource("/api/sessions/{id}/archive")
            .route(web::get().to(archives::get))
            .route(web::put().to(archives::put)),
    )
    .service(
        resource("/api/sessions/{id}/archive/{path:.*}")
            .route(web::get().to(archives::get))
            .route(web::put().to(archives::put)),
    );
}

/// What is asked about a workspace's content, and what runs beside commands.
fn services(app: &mut ServiceConfig) {
    let resource = |path: &str| web::resource(path).default_service(web::to(guard::wrong_method));
    app.service(
        resource("/api/sessions/{id}/terminals")
            .route(web::get().to(terminals::list))
            .route(web::post().to(terminals::open)),
    )
    .service(
        resource("/api/sessions/{id}/terminals/{terminal}")
            .route(web::delete().to(terminals::close)),
    )
    .service(resource("/api/sessions/{id}/ports").route(web::get().to(ports::list)))
    .service(
        resource("/api/sessions/{id}/ports/{port}/ticket").route(web::post().to(ports::ticket)),
    )
    .service(resource("/api/sessions/{id}/plugins").route(web::get().to(plugins::list)))
    .service(
        resource("/api/sessions/{id}/plugins/{name}/{word}")
            .route(web::post().to(plugins::command)),
    )
    .service(resource("/api/sessions/{id}/vscode-url").route(web::get().to(plugins::vscode_url)))
    .service(
        resource("/api/conversations/{id}/vscode-url").route(web::get().to(plugins::vscode_url)),
    )
    .service(resource("/api/vscode-url").route(web::get().to(plugins::vscode_url_of)))
    .service(resource("/api/sessions/{id}/search").route(web::post().to(code::search)))
    .service(resource("/api/sessions/{id}/git/status").route(web::get().to(code::git)))
    .service(resource("/api/sessions/{id}/git/changes").route(web::get().to(code::git)))
    .service(resource("/api/sessions/{id}/git/diff").route(web::get().to(code::git)))
    .service(resource("/api/sessions/{id}/git/show").route(web::get().to(code::git)))
    .service(resource("/api/sessions/{id}/git/branches").route(web::get().to(code::git)))
    .service(resource("/api/sessions/{id}/git/log").route(web::get().to(code::git)))
    .service(resource("/api/sessions/{id}/git/repositories").route(web::get().to(code::git)));
}
