//! Work only.
use staithe_image::{base::*, context, inputs::*, render::*, stages::*};
use std::{collections::BTreeSet, fs, path::Path};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (base, tools, plugins, folder, ca, stages) = (&a[1], &a[2], &a[3], &a[4], &a[5], &a[6]);
    let none = base.contains("busybox") || base.contains("scratch");
    let inputs = Inputs {
        version: "0.1.0".into(),
        base_image: base.clone(),
        platform: String::new(),
        plugins: plugins.split(',').filter(|p| !p.is_empty()).map(|p| p.parse().unwrap()).collect(),
        extra_deps: std::env::var("EXTRA").unwrap_or_default(),
        build_args: std::env::var("MYARG")
            .map(|v| [("MYARG".to_owned(), v)].into())
            .unwrap_or_default(),
        system: SystemChoice::Auto,
        user: std::env::var("IMAGE_USER").unwrap_or_default(),
        tools_image: tools.clone(),
        mirrors: Mirrors { apt: std::env::var("APT").unwrap_or_default(), ..Mirrors::default() },
        node: Download {
            source: std::env::var("NODE_SRC").unwrap_or_default(),
            checksum: std::env::var("NODE_SUM").unwrap_or_default(),
            ..Download::default()
        },
        vscode: Download {
            source: std::env::var("VS_SRC").unwrap_or_default(),
            checksum: std::env::var("VS_SUM").unwrap_or_default(),
            ..Download::default()
        },
        jupyter_requirements: String::new(),
    };
    let has: BTreeSet<Thing> = if base.contains("scratch") {
        [].into()
    } else if none {
        [Thing::Sh].into()
    } else {
        [Thing::Sh, Thing::Bash, Thing::Git, Thing::CaCertificates].into()
    };
    let facts = BaseFacts {
        system: if none { System::None } else { System::Apt },
        libc: if none { Libc::None } else { Libc::Glibc },
        has,
        user: String::new(),
        os: "debian".into(),
        os_version: "12".into(),
        seen: true,
    };
    let all: Vec<Stage> = [Stage::System, Stage::Deps, Stage::Final]
        .into_iter()
        .filter(|s| stages.contains(s.as_str()))
        .collect();
    let request = Request {
        inputs: &inputs,
        facts: &facts,
        from: BuildFrom::Scratch,
        base: &std::env::var("FROM").unwrap_or(base.clone()),
        stages: &all,
        mounts: std::env::var("MOUNTS").is_ok(),
        ca: !ca.is_empty(),
    };
    let dockerfile = render(&request).unwrap();
    let mut files = vec![];
    if !ca.is_empty() {
        for f in fs::read_dir(ca).unwrap() {
            let f = f.unwrap();
            files.push((f.file_name().into_string().unwrap(), fs::read(f.path()).unwrap()));
        }
    }
    context::assemble(&request, dockerfile, &files).write_folder(Path::new(folder)).unwrap();
}
