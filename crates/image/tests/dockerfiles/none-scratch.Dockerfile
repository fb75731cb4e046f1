# Made by Staithe 0.1.0 of scratch: changes belong into the configuration, not here.

FROM scratch AS system
COPY bin/ /opt/staithe/bin/
USER 1000:1000

FROM debian:12 AS staithe-tools
USER 0:0
COPY lib.sh /staithe-build/
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git ncurses-base procps ripgrep python3 python3-venv \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
COPY jupyter.lock make-jupyter /staithe-build/
RUN /staithe-build/make-jupyter
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN VSCODE_VERSION=4.112.0 \
    VSCODE_KIND=sha512 \
    VSCODE_HEX=b326342728208be0b3ddfbdd4bc7cbcf486fc791de374e6a24faa533b4133426c718232041c1fdb5d4bb2f2b5a3304b9b1bb118977d1645f57656497b7399ae1 \
    /staithe-build/make-vscode
COPY make-root /staithe-build/
RUN /staithe-build/make-root bash curl git ncurses-base procps ripgrep media-types python3 coreutils dash grep sed
USER 65534

FROM system AS deps
COPY --from=staithe-tools /staithe-root/ /
ENV PATH="${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin"
USER 0:0
RUN /opt/staithe/bin/staithe-user root 0 0 \
 && /opt/staithe/bin/staithe-user dev 1000 1000
USER 1000:1000

FROM deps AS final
USER 0:0
RUN ["/bin/sh", "-ec", "/opt/staithe/bin/staithe-sbom begin\n/bin/sh -ec \"$1\"\n/opt/staithe/bin/staithe-sbom record extra", "extra", "id"]
USER 1000:1000
