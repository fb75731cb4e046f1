# Made by Staithe 0.1.0 of rocky:9.4: changes belong into the configuration, not here.

FROM rocky:9.4 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && manager="$(command -v dnf || command -v microdnf || command -v yum)" \
 && "$manager" install -y --setopt=install_weak_deps=0 --setopt=tsflags=nodocs \
      bash ca-certificates curl git libstdc++ procps-ng python3.11 python3.11-pip \
 && "$manager" clean all \
 && /opt/staithe/bin/staithe-sbom record system

FROM system AS staithe-jupyter
COPY lib.sh /staithe-build/
COPY jupyter.lock make-jupyter /staithe-build/
RUN /staithe-build/make-jupyter

FROM system AS staithe-vscode
COPY lib.sh /staithe-build/
RUN manager="$(command -v dnf || command -v microdnf || command -v yum)" \
 && "$manager" install -y --setopt=install_weak_deps=0 --setopt=tsflags=nodocs \
      findutils gzip tar \
 && "$manager" clean all
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN VSCODE_VERSION=4.112.0 \
    VSCODE_KIND=sha512 \
    VSCODE_HEX=b326342728208be0b3ddfbdd4bc7cbcf486fc791de374e6a24faa533b4133426c718232041c1fdb5d4bb2f2b5a3304b9b1bb118977d1645f57656497b7399ae1 \
    /staithe-build/make-vscode

FROM system AS deps
COPY --from=staithe-jupyter /staithe-root/ /
COPY --from=staithe-vscode /staithe-root/ /

FROM deps AS final
