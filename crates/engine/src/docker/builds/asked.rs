//! What the engine is asked for a build, and what it may use.

use bollard::{
    Docker,
    query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion},
};

use crate::{
    docker::create::uuid,
    images::{BuildOrder, Builder},
};

/// Microseconds in which a step may use its share of processors.
const PERIOD: i32 = 100_000;
/// The least share that the kernel takes.
const LEAST_QUOTA: f64 = 1_000.0;

pub(super) fn options(order: &BuildOrder) -> BuildImageOptions {
    let options = BuildImageOptionsBuilder::default()
        .dockerfile("Dockerfile")
        .t(&order.name)
        .rm(true)
        .forcerm(true)
        .nocache(order.anew)
        .labels(&order.labels.clone().into_iter().collect())
        .buildargs(&order.build_args.clone().into_iter().collect())
        .platform(&order.platform);
    let mut options = match order.builder {
        Builder::BuildKit => options.version(BuilderVersion::BuilderBuildKit).session(&uuid()),
        Builder::Classic => options.version(BuilderVersion::BuilderV1),
    }
    .build();
    options.networkmode = (!order.network.is_empty()).then(|| order.network.clone());
    if order.builder == Builder::Classic {
        let memory = (order.memory > 0).then(|| in_field(order.memory));
        (options.memory, options.memswap) = (memory, memory);
        let quota = (order.cpus > 0.0).then(|| quota(order.cpus));
        (options.cpuquota, options.cpuperiod) = (quota, quota.map(|_| PERIOD));
    }
    options
}

#[expect(clippy::cast_possible_truncation, reason = "it is clamped before")]
fn quota(cpus: f64) -> i32 {
    (cpus * f64::from(PERIOD)).clamp(LEAST_QUOTA, f64::from(i32::MAX)) as i32
}

/// The client's field holds less than 2 GiB.
fn in_field(memory: u64) -> i32 {
    i32::try_from(memory).unwrap_or(i32::MAX)
}

/// The client of a build: it puts more memory than its field holds into the request. Should it ever find
/// another request than expected, the lesser limit of the field is kept.
pub(super) fn client(docker: &Docker, order: &BuildOrder) -> Docker {
    let docker = docker.clone();
    let (whole, field) = (order.memory.min(i64::MAX.unsigned_abs()), in_field(order.memory));
    if u64::from(field.unsigned_abs()) == whole {
        return docker;
    }
    docker.with_request_modifier(move |mut request| {
        let asked = request.uri().to_string();
        let asked = ["memory", "memswap"].iter().fold(asked, |asked, key| {
            asked.replace(&format!("{key}={field}"), &format!("{key}={whole}"))
        });
        if let Ok(uri) = asked.parse() {
            *request.uri_mut() = uri;
        }
        request
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_a_share_of_time_within_what_the_kernel_takes() {
        assert_eq!(quota(0.5), 50_000);
        assert_eq!(quota(2.0), 200_000);
        assert_eq!(quota(0.000_1), 1_000);
        assert_eq!(quota(1e12), i32::MAX);
    }
}
