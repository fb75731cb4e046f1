//! Connections and requests: recorded, spoilt by the script, answered.

use std::{fmt, sync::Arc};

use http_body_util::BodyExt;
use hyper::{
    Request, body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

use super::{
    Fault, Inner,
    answers::{Answer, Outcome, bytes, failed, refused},
    routes::Recorded,
};

/// The connection ends without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by the script")
    }
}

impl std::error::Error for Cut {}

impl Inner {
    pub(super) fn listen(self: &Arc<Self>) {
        let socket = self.socket();
        std::fs::remove_file(&socket).ok(); // of before it went away
        let listener = UnixListener::bind(&socket).expect("the fake daemon's socket");
        let this = self.clone();
        self.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                this.spawn(this.clone().connection(stream));
            }
        });
    }

    /// Runs until it ends or the daemon goes away.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut away = self.away.subscribe();
        away.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! { () = task => {}, _ = away.changed() => {} }
        });
    }

    async fn connection(self: Arc<Self>, stream: UnixStream) {
        let this = self.clone();
        let service = service_fn(move |request| this.clone().serve(request));
        // How it ends is the client's business.
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await
            .ok();
    }

    async fn serve(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Answer, Cut> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let query = parts.uri.query().unwrap_or_default();
        let asked = Recorded::new(parts.method.as_str(), parts.uri.path(), query, &body);
        let fault = {
            let mut script = self.script();
            script.requests.push(asked.clone());
            script.faults.of(&asked.route)
        };
        match &fault {
            Some(Fault::Status(status, message)) => {
                return Ok(failed(super::answers::Refused(*status, message.clone())));
            }
            Some(Fault::Garbage) => return Ok(bytes(200, "application/json", "<html>{")),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Drop) => return Err(Cut),
            Some(Fault::Slow(time)) => {
                let never = std::future::pending::<()>();
                tokio::time::timeout(*time, never).await.ok(); // that is how long
            }
            Some(Fault::Hold) => {
                let mut released = self.released.subscribe();
                released.mark_unchanged();
                released.changed().await.ok();
            }
            Some(Fault::DropAfterEffect | Fault::HangAfterEffect) | None => {}
        }
        let answer = self.answer(&asked, &body, upgrade).await.unwrap_or_else(failed);
        match fault {
            Some(Fault::DropAfterEffect) => Err(Cut),
            Some(Fault::HangAfterEffect) => std::future::pending().await,
            _ => Ok(answer),
        }
    }

    async fn answer(
        self: &Arc<Self>,
        asked: &Recorded,
        body: &bytes::Bytes,
        upgrade: OnUpgrade,
    ) -> Outcome {
        self.world().check_version(asked)?;
        match asked.route.as_str() {
            "POST /containers/{id}/attach" => return self.attach(asked, upgrade),
            "POST /containers/{id}/wait" => return self.wait(asked).await,
            "GET /containers/{id}/logs" => return self.logs(asked),
            "POST /exec/{id}/start" => return self.start_exec(asked, upgrade),
            "GET /events" => return Ok(self.events(asked)),
            "POST /build" => return Ok(self.build(asked)),
            _ => {}
        }
        let mut world = self.world();
        match asked.route.as_str() {
            "GET /_ping" | "HEAD /_ping" => Ok(world.ping()),
            "GET /version" => Ok(world.version()),
            "GET /info" => Ok(world.daemon_info()),
            "GET /containers/json" => Ok(world.list_containers(asked)),
            "POST /containers/create" => world.create_container(asked),
            "GET /containers/{id}/json" => world.inspect_container(asked),
            "POST /containers/{id}/start" => world.start_container(asked),
            "POST /containers/{id}/stop" => world.stop_container(asked),
            "POST /containers/{id}/kill" => world.kill_container(asked),
            "POST /containers/{id}/pause" => world.pause_container(asked, true),
            "POST /containers/{id}/unpause" => world.pause_container(asked, false),
            "POST /containers/{id}/rename" => world.rename_container(asked),
            "POST /containers/{id}/resize" | "POST /exec/{id}/resize" => {
                Ok(super::answers::empty(200))
            }
            "DELETE /containers/{id}" => world.remove_container(asked),
            "GET /containers/{id}/stats" => world.container_stats(asked),
            "GET /containers/{id}/top" => world.top(asked),
            "PUT /containers/{id}/archive" => world.put_archive(asked, body),
            "GET /containers/{id}/archive" | "HEAD /containers/{id}/archive" => {
                world.get_archive(asked)
            }
            "POST /containers/{id}/exec" => world.create_exec(asked),
            "GET /exec/{id}/json" => world.inspect_exec(asked),
            "GET /networks" => Ok(world.list_networks(asked)),
            "POST /networks/create" => world.create_network(asked),
            "GET /networks/{id}" => world.inspect_network(asked),
            "DELETE /networks/{id}" => world.remove_network(asked),
            "POST /networks/{id}/connect" => world.join_network(asked, true),
            "POST /networks/{id}/disconnect" => world.join_network(asked, false),
            "GET /volumes" => Ok(world.list_volumes(asked)),
            "POST /volumes/create" => Ok(world.create_volume(asked)),
            "GET /volumes/{name}" => world.inspect_volume(asked),
            "DELETE /volumes/{name}" => world.remove_volume(asked),
            "GET /images/json" => Ok(world.list_images(asked)),
            "GET /images/{name}/json" => world.inspect_image(asked),
            "GET /images/{name}/history" => world.image_history(asked),
            "POST /images/{name}/tag" => world.tag_image(asked),
            "POST /images/{name}/push" => world.push(asked),
            "GET /images/get" => world.save_images(asked),
            "POST /images/load" => world.load_images(body),
            "POST /images/create" => world.pull(asked),
            "DELETE /images/{name}" => world.remove_image(asked),
            _ => refused(404, "page not found"),
        }
    }
}
