# Made by Staithe 0.1.0 of busybox:1.36: changes belong into the configuration, not here.
# The certificates in ca/ are used in the helper stages only. This builder can't mount them into a step of the
# image itself, and they are never copied into it.

FROM busybox:1.36 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-user root 0 0

FROM debian:12 AS staithe-tools
USER 0:0
COPY lib.sh /staithe-build/
COPY with-ca /run/staithe-ca/
COPY ca/ /run/staithe-ca/given/
RUN . /run/staithe-ca/with-ca \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git ncurses-base procps ripgrep python3 python3-venv \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
COPY jupyter.lock make-jupyter /staithe-build/
RUN /run/staithe-ca/with-ca /staithe-build/make-jupyter
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN VSCODE_VERSION=4.112.0 \
    VSCODE_KIND=sha512 \
    VSCODE_HEX=b326342728208be0b3ddfbdd4bc7cbcf486fc791de374e6a24faa533b4133426c718232041c1fdb5d4bb2f2b5a3304b9b1bb118977d1645f57656497b7399ae1 \
    /run/staithe-ca/with-ca /staithe-build/make-vscode
COPY make-root /staithe-build/
RUN /staithe-build/make-root bash curl git ncurses-base procps ripgrep media-types python3
USER 65534

FROM system AS deps
COPY --from=staithe-tools /staithe-root/ /
ENV PATH="${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin"

FROM deps AS final
