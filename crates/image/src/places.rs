//! Where things are in images of every kind. Pure.

use crate::{
    base::{Libc, Thing},
    inputs::System,
};

/// The file that says which system it is; the first goes before the second.
pub const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The paths whose content [`facts`](crate::base::facts) needs; of the others it needs only that they are there.
pub const READ: &[&str] = &OS_RELEASE;

/// How packages are installed, by the programs that do.
pub(crate) const INSTALLERS: &[(System, &[&str])] = &[
    (System::Apt, &["/usr/bin/apt-get"]),
    (System::Dnf, &["/usr/bin/dnf", "/usr/bin/microdnf", "/usr/bin/yum"]),
    (System::Apk, &["/sbin/apk", "/usr/sbin/apk", "/usr/bin/apk"]),
    (System::Zypper, &["/usr/bin/zypper"]),
];

/// Places of glibc, by loader or by library; with and without one `/usr`.
const GLIBC: &[&str] = &[
    "/lib64/ld-linux-x86-64.so.2",
    "/usr/lib64/ld-linux-x86-64.so.2",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/ld-linux-aarch64.so.1",
    "/usr/lib/ld-linux-aarch64.so.1",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
];

/// Places of musl's loader.
const MUSL: &[&str] = &[
    "/lib/ld-musl-x86_64.so.1",
    "/usr/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
    "/usr/lib/ld-musl-aarch64.so.1",
];

/// Places of Node, without which npm is nothing.
pub(crate) const NODE: &[&str] = &["/usr/local/bin/node", "/usr/bin/node"];

/// Things that are there when any of their places is.
pub(crate) const PLACES: &[(Thing, &str)] = &[
    (Thing::Sh, "/bin/sh"),
    (Thing::Sh, "/usr/bin/sh"),
    (Thing::Bash, "/bin/bash"),
    (Thing::Bash, "/usr/bin/bash"),
    (Thing::Git, "/usr/bin/git"),
    (Thing::Git, "/usr/local/bin/git"),
    (Thing::Curl, "/usr/bin/curl"),
    (Thing::Curl, "/usr/local/bin/curl"),
    // Debian, Alpine, openSUSE; Fedora; SLE.
    (Thing::CaCertificates, "/etc/ssl/certs/ca-certificates.crt"),
    (Thing::CaCertificates, "/etc/pki/tls/certs/ca-bundle.crt"),
    (Thing::CaCertificates, "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    (Thing::CaCertificates, "/etc/ssl/ca-bundle.pem"),
    (Thing::CaCertificates, "/var/lib/ca-certificates/ca-bundle.pem"),
    (Thing::CaCertificates, "/etc/ssl/cert.pem"),
    (Thing::Procps, "/bin/ps"),
    (Thing::Procps, "/usr/bin/ps"),
    (Thing::Ripgrep, "/usr/bin/rg"),
    (Thing::Ripgrep, "/usr/local/bin/rg"),
    (Thing::Npm, "/usr/bin/npm"),
    (Thing::Npm, "/usr/local/bin/npm"),
    (Thing::Chromium, "/usr/bin/chromium"),
    (Thing::Chromium, "/usr/bin/chromium-browser"),
    (Thing::Chromium, "/usr/lib/chromium/chromium"),
    (Thing::Chromium, "/usr/lib/chromium-browser/chromium-browser"),
    (Thing::Chromium, "/usr/lib64/chromium-browser/chromium-browser"),
    (Thing::Chromium, "/usr/bin/google-chrome"),
    (Thing::Chromium, "/usr/bin/google-chrome-stable"),
    (Thing::Chromium, "/opt/google/chrome/chrome"),
    (Thing::Vscode, "/opt/staithe/vscode/bin/code-server-oss"),
    (Thing::Vscode, "/opt/staithe/vscode/bin/code-server"),
    (Thing::Vscode, "/opt/staithe/vscode/bin/openvscode-server"),
    (Thing::Vscode, "/openhands/.openvscode-server/bin/openvscode-server"),
    (Thing::Vscode, "/usr/bin/code-server"),
    (Thing::Vscode, "/usr/local/bin/code-server"),
    (Thing::Vscode, "/usr/lib/code-server/bin/code-server"),
    (Thing::Jupyter, "/opt/staithe/jupyter/bin/jupyter-kernelgateway"),
    (Thing::Jupyter, "/usr/local/bin/jupyter-kernelgateway"),
    (Thing::Jupyter, "/usr/bin/jupyter-kernelgateway"),
    (Thing::Jupyter, "/opt/conda/bin/jupyter-kernelgateway"),
];

/// `python3` itself, whatever its version.
const PYTHON: [&str; 2] = ["/usr/local/bin/python3", "/usr/bin/python3"];

/// One version of Python at one place.
pub(crate) struct PythonAt {
    pub(crate) prefix: &'static str,
    pub(crate) program: &'static str,
    /// What makes pip in a new environment. Debian has it in a package of its own.
    pub(crate) ensurepip: &'static [&'static str],
}

macro_rules! pythons {
    ($($minor:literal),*) => {
        /// The versions that can be told apart. There is no looking for a pattern in an image.
        pub(crate) const PYTHONS: &[PythonAt] = &[$(
            PythonAt {
                prefix: "/usr/local",
                program: concat!("/usr/local/bin/python3.", $minor),
                ensurepip: &[concat!("/usr/local/lib/python3.", $minor, "/ensurepip/__init__.py")],
            },
            PythonAt {
                prefix: "/usr",
                program: concat!("/usr/bin/python3.", $minor),
                ensurepip: &[
                    concat!("/usr/lib/python3.", $minor, "/ensurepip/__init__.py"),
                    concat!("/usr/lib64/python3.", $minor, "/ensurepip/__init__.py"),
                ],
            },
        )*];
    };
}
pythons!(6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

/// Every path that [`facts`](crate::base::facts) asks for.
pub fn look_at() -> Vec<&'static str> {
    let installers = INSTALLERS.iter().flat_map(|(_, paths)| paths.iter());
    let pythons =
        PYTHONS.iter().flat_map(|python| [&python.program].into_iter().chain(python.ensurepip));
    let things = PLACES.iter().map(|(_, path)| path);
    let known = [&OS_RELEASE[..], GLIBC, MUSL, NODE, &PYTHON[..]];
    known.into_iter().flatten().chain(installers).chain(things).chain(pythons).copied().collect()
}

/// The C library. Where both are, the system's own decides: the other one is there for compatibility.
pub(crate) fn libc(there: &impl Fn(&str) -> bool, system: System) -> Libc {
    let glibc = GLIBC.iter().any(|path| there(path));
    let musl = MUSL.iter().any(|path| there(path));
    match (glibc, musl) {
        (true, true) if system == System::Apk => Libc::Musl,
        (true, _) => Libc::Glibc,
        (false, true) => Libc::Musl,
        (false, false) => Libc::None,
    }
}
