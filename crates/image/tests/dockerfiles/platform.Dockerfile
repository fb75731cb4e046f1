# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.
# Build it with --platform linux/arm64/v8.

FROM debian:12 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git libstdc++6 procps python3 python3-venv ripgrep \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && /opt/staithe/bin/staithe-sbom record system

FROM system AS staithe-jupyter
COPY lib.sh /staithe-build/
COPY jupyter.lock make-jupyter /staithe-build/
RUN /staithe-build/make-jupyter

FROM system AS staithe-vscode
COPY lib.sh /staithe-build/
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN VSCODE_VERSION=4.112.0 \
    VSCODE_KIND=sha512 \
    VSCODE_HEX=b326342728208be0b3ddfbdd4bc7cbcf486fc791de374e6a24faa533b4133426c718232041c1fdb5d4bb2f2b5a3304b9b1bb118977d1645f57656497b7399ae1 \
    /staithe-build/make-vscode

FROM system AS deps
COPY --from=staithe-jupyter /staithe-root/ /
COPY --from=staithe-vscode /staithe-root/ /

FROM deps AS final
