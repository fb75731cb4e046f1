# Made by Staithe 0.1.0 of node:22: changes belong into the configuration, not here.

FROM node:22 AS system
USER 0:0
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git procps ripgrep \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && /opt/staithe/bin/staithe-sbom record system
RUN /opt/staithe/bin/staithe-user me 1001 1001
USER 1001:1001

FROM system AS deps

FROM deps AS final
