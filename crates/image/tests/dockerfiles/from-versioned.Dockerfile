# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM registry.test:5000/staithe:v0.1.0_debian AS staithe-jupyter
USER 0:0
COPY lib.sh /staithe-build/
COPY jupyter.lock make-jupyter /staithe-build/
RUN /staithe-build/make-jupyter
USER 1000:1000

FROM registry.test:5000/staithe:v0.1.0_debian AS staithe-vscode
USER 0:0
COPY lib.sh /staithe-build/
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN VSCODE_VERSION=4.112.0 \
    VSCODE_KIND=sha512 \
    VSCODE_HEX=b326342728208be0b3ddfbdd4bc7cbcf486fc791de374e6a24faa533b4133426c718232041c1fdb5d4bb2f2b5a3304b9b1bb118977d1645f57656497b7399ae1 \
    /staithe-build/make-vscode
USER 1000:1000

FROM registry.test:5000/staithe:v0.1.0_debian AS deps
COPY --from=staithe-jupyter /staithe-root/ /
COPY --from=staithe-vscode /staithe-root/ /

FROM deps AS final
USER 0:0
RUN ["/bin/sh", "-ec", "/opt/staithe/bin/staithe-sbom begin\n/bin/sh -ec \"$1\"\n/opt/staithe/bin/staithe-sbom record extra", "extra", "id"]
USER 1000:1000
