# Made by Staithe 0.1.0 of alpine:3.20: changes belong into the configuration, not here.

FROM alpine:3.20 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-sbom begin \
 && apk add --no-cache bash ca-certificates curl git procps py3-pip python3 ripgrep \
 && /opt/staithe/bin/staithe-sbom record system
RUN /opt/staithe/bin/staithe-sbom begin \
 && apk add --no-cache chromium font-dejavu \
 && /opt/staithe/bin/staithe-sbom record browser

FROM system AS staithe-jupyter
COPY lib.sh /staithe-build/
COPY jupyter.lock make-jupyter /staithe-build/
RUN /staithe-build/make-jupyter

FROM system AS deps
COPY --from=staithe-jupyter /staithe-root/ /

FROM deps AS final
