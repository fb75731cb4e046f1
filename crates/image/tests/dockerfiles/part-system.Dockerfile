# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM debian:12 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git libstdc++6 procps python3 python3-venv ripgrep \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && /opt/staithe/bin/staithe-sbom record system
RUN /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      chromium fonts-dejavu-core \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && /opt/staithe/bin/staithe-sbom record browser
RUN /opt/staithe/bin/staithe-user dev 1000 1000
USER 1000:1000
