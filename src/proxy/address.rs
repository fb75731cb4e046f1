//! Which port of which session an address means. Pure.
//!
//! | form | address | the program sees |
//! |---|---|---|
//! | stripped | `/s/{session}/p/{port}/rest` | `/rest`, and the prefix in `X-Forwarded-Prefix` |
//! | whole | `/s/{session}/a/{port}/rest` | the address as it is, for programs that know their base path |
//! | host | `{port}-{session}.{domain}/rest` | `/rest` |

use staithe_protocol::SessionId;

/// How an address names a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Stripped,
    Whole,
    Host,
}

/// A port of a session, and the part of the address that is its program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub session: SessionId,
    pub port: u16,
    pub form: Form,
    /// `/s/{session}`, as it was written; empty in the host form.
    pub session_path: String,
    /// `/s/{session}/p/{port}`; empty in the host form.
    pub prefix: String,
    /// The path that the program is asked for, byte for byte.
    pub path: String,
}

impl Target {
    /// The same port, when its program turns out to be served below this path.
    #[must_use]
    pub fn served_below(&self, base: &str) -> Self {
        let mut target = self.clone();
        if self.form == Form::Stripped && base.trim_end_matches('/') == self.prefix {
            target.form = Form::Whole;
            target.path = format!("{}{}", self.prefix, self.path);
        }
        target
    }
}

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Port(Target),
    /// The same address with a slash at its end.
    Slash(Target),
    Nothing,
}

/// Looks an address up. `host` is the one that the browser asked for.
pub fn find(host: &str, domain: &str, path: &str) -> Found {
    if let Some(label) = label_below(host, domain) {
        return match by_host(label, path) {
            Some(target) => Found::Port(target),
            None => Found::Nothing,
        };
    }
    by_path(path).unwrap_or(Found::Nothing)
}

/// The one label before a domain; none when the host is not directly below it.
pub fn label_below<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    let cut = name.len().checked_sub(domain.len() + 1)?;
    let (label, rest) = name.split_at_checked(cut)?;
    let below = rest.strip_prefix('.')?.eq_ignore_ascii_case(domain);
    (below && !domain.is_empty() && !label.is_empty() && !label.contains('.')).then_some(label)
}

/// The host without its port.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn by_host(label: &str, path: &str) -> Option<Target> {
    let (port, session) = label.split_once('-')?;
    Some(Target {
        session: session_of(&session.to_ascii_lowercase())?,
        port: port_of(port)?,
        form: Form::Host,
        session_path: String::new(),
        prefix: String::new(),
        path: path.to_owned(),
    })
}

fn by_path(path: &str) -> Option<Found> {
    let mut parts = path.strip_prefix("/s/")?.splitn(4, '/');
    let (session, form, port) = (parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.next();
    let prefix = format!("/s/{session}/{form}/{port}");
    let form = match form {
        "p" => Form::Stripped,
        "a" => Form::Whole,
        _ => return None,
    };
    let target = Target {
        session: session_of(session)?,
        port: port_of(port)?,
        form,
        session_path: format!("/s/{session}"),
        path: match form {
            Form::Stripped => format!("/{}", rest.unwrap_or_default()),
            Form::Whole | Form::Host => path.to_owned(),
        },
        prefix,
    };
    Some(if rest.is_none() { Found::Slash(target) } else { Found::Port(target) })
}

/// 32 hexadecimal digits, with or without the dashes of a UUID.
fn session_of(text: &str) -> Option<SessionId> {
    let is_dash = |at: usize| [8, 13, 18, 23].contains(&at);
    let dashed =
        text.len() == 36 && text.bytes().enumerate().all(|(at, b)| (b == b'-') == is_dash(at));
    if dashed { text.replace('-', "").parse().ok() } else { text.parse().ok() }
}

/// A number without a sign or leading noughts: one port has one address.
fn port_of(text: &str) -> Option<u16> {
    let port = text.parse().ok().filter(|port| *port > 0)?;
    (u16::to_string(&port) == text).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190c0de0000700080000000000000aa";
    const DASHED: &str = "0190c0de-0000-7000-8000-0000000000aa";

    fn told(host: &str, path: &str) -> Option<(u16, Form, String, String)> {
        match find(host, "box.example", path) {
            Found::Port(it) => Some((it.port, it.form, it.prefix, it.path)),
            Found::Slash(it) => Some((it.port, it.form, "slash".into(), it.path)),
            Found::Nothing => None,
        }
    }

    #[test]
    fn each_form_names_a_port_and_leaves_the_rest_as_it_is() {
        let prefix = |form: &str| format!("/s/{ID}/{form}/8080");
        let odd = "/a%2Fb/../c//d;x?";
        assert_eq!(
            told("h:1", &format!("{}{odd}", prefix("p"))),
            Some((8080, Form::Stripped, prefix("p"), odd.into()))
        );
        let whole = format!("{}{odd}", prefix("a"));
        assert_eq!(told("h:1", &whole), Some((8080, Form::Whole, prefix("a"), whole.clone())));
        for id in [ID, DASHED] {
            for host in [format!("80-{id}.box.example:3001"), format!("80-{id}.BOX.example.")] {
                assert_eq!(
                    told(&host, "/s/x"),
                    Some((80, Form::Host, String::new(), "/s/x".into())),
                    "{host}"
                );
            }
        }
        assert_eq!(told("h", &prefix("p")).map(|it| it.2), Some("slash".into()));
        let dashed = format!("/s/{DASHED}/p/1/");
        assert_eq!(told("h", &dashed).map(|it| it.2), Some(format!("/s/{DASHED}/p/1")));
    }

    #[test]
    fn a_program_that_is_served_below_the_prefix_gets_the_path_whole() {
        let path = format!("/s/{ID}/p/80/a%2F?");
        let Found::Port(target) = find("h", "", &path) else { panic!("a port") };
        for base in [format!("/s/{ID}/p/80"), format!("/s/{ID}/p/80/")] {
            let whole = target.served_below(&base);
            assert_eq!((whole.form, whole.path), (Form::Whole, path.clone()));
        }
        for base in ["", "/", "/s", &format!("/s/{ID}/p/8")] {
            assert_eq!(target.served_below(base), target, "{base}");
        }
    }

    #[test]
    fn what_names_no_port_is_nothing() {
        for path in [
            "/".into(),
            "/s/".into(),
            "/api/sessions".into(),
            format!("/s/{ID}"),
            format!("/s/{ID}/"),
            format!("/s/{ID}/p/"),
            format!("/s/{ID}/x/80/"),
            format!("/s/{ID}/p/0/"),
            format!("/s/{ID}/p/080/"),
            format!("/s/{ID}/p/+80/"),
            format!("/s/{ID}/p/65536/"),
            format!("//s/{ID}/p/80/"),
            format!("/s/{}/p/80/", &ID[1..]),
            format!("/%73/{ID}/p/80/"),
        ] {
            assert_eq!(told("h", &path), None, "{path}");
        }
        for host in
            [format!("{ID}.box.example"), format!("0-{ID}.box.example"), "x.box.example".into()]
        {
            assert_eq!(told(&host, &format!("/s/{ID}/p/80/")), None, "{host}");
        }
        // Not directly below the domain: by path, where the name is answered at all.
        for host in ["a.b.box.example", "box.example", "evilbox.example", "80.box.example.evil"] {
            assert!(told(host, &format!("/s/{ID}/p/80/")).is_some(), "{host}");
        }
    }
}
