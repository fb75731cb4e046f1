# Made by Staithe 0.1.0 of alpine:3.20: changes belong into the configuration, not here.

FROM alpine:3.20 AS system
COPY bin/ /opt/staithe/bin/
RUN cp -p /etc/apk/repositories /tmp/staithe-apk \
 && sed -E 's|https?://[^/ ]+|http://mirror.test|' /tmp/staithe-apk >/etc/apk/repositories \
 && /opt/staithe/bin/staithe-sbom begin \
 && apk add --no-cache bash ca-certificates curl git procps py3-pip python3 ripgrep \
 && mv /tmp/staithe-apk /etc/apk/repositories \
 && /opt/staithe/bin/staithe-sbom record system

FROM system AS staithe-jupyter
COPY lib.sh /staithe-build/
COPY jupyter.lock make-jupyter /staithe-build/
RUN PIP_INDEX_URL='http://mirror.test/simple?it'\''s=so' \
    /staithe-build/make-jupyter

FROM system AS deps
COPY --from=staithe-jupyter /staithe-root/ /

FROM deps AS final
RUN ["/bin/sh", "-ec", "/opt/staithe/bin/staithe-sbom begin\ncp -p /etc/apk/repositories /tmp/staithe-apk\nsed -E 's|https?://[^/ ]+|http://mirror.test|' /tmp/staithe-apk >/etc/apk/repositories\nexport PIP_INDEX_URL='http://mirror.test/simple?it'\\''s=so'\nexport npm_config_registry='http://mirror.test/npm'\n/bin/sh -ec \"$1\"\nmv /tmp/staithe-apk /etc/apk/repositories\n/opt/staithe/bin/staithe-sbom record extra", "extra", "apk add jq"]
