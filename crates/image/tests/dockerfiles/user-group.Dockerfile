# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM debian:12 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git procps ripgrep \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && /opt/staithe/bin/staithe-sbom record system
RUN /opt/staithe/bin/staithe-user dev 1000 100
USER 1000:100

FROM system AS deps

FROM deps AS final
USER 0:0
RUN ["/bin/sh", "-ec", "/opt/staithe/bin/staithe-sbom begin\n/bin/sh -ec \"$1\"\n/opt/staithe/bin/staithe-sbom record extra", "extra", "id"]
USER 1000:100
