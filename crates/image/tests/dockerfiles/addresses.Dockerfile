# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM debian:12 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git libstdc++6 procps ripgrep \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && /opt/staithe/bin/staithe-sbom record system

FROM system AS staithe-vscode
COPY lib.sh /staithe-build/
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      python3 python3-venv \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN NODE_SOURCE='https://files.test/n&(o)de.whl' \
    NODE_KIND=sha256 \
    NODE_HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef \
    VSCODE_VERSION=4.112.0 \
    VSCODE_SOURCE='https://files.test/it'\''s%20code.tgz' \
    VSCODE_KIND=sha256 \
    VSCODE_HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef \
    /staithe-build/make-vscode

FROM system AS deps
COPY --from=staithe-vscode /staithe-root/ /

FROM deps AS final
