# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM debian:12 AS system
COPY bin/ /opt/staithe/bin/
RUN mkdir /tmp/staithe-apt \
 && for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do case "${file##*/}" in sources.list | debian.sources | ubuntu.sources) [ ! -f "$file" ] || sed -E 's|https?://[^/ ]+|http://mirror.test/a\|b\&c|' "$file" >"/tmp/staithe-apt/${file##*/}" ;; *) [ ! -f "$file" ] || cp "$file" /tmp/staithe-apt/ ;; esac; done \
 && printf '%s\n' 'Dir::Etc::SourceList "/dev/null";' 'Dir::Etc::SourceParts "/tmp/staithe-apt";' >/etc/apt/apt.conf.d/99staithe \
 && /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git libstdc++6 procps python3 python3-venv ripgrep \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && rm -r /tmp/staithe-apt /etc/apt/apt.conf.d/99staithe \
 && /opt/staithe/bin/staithe-sbom record system
RUN mkdir /tmp/staithe-apt \
 && for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do case "${file##*/}" in sources.list | debian.sources | ubuntu.sources) [ ! -f "$file" ] || sed -E 's|https?://[^/ ]+|http://mirror.test/a\|b\&c|' "$file" >"/tmp/staithe-apt/${file##*/}" ;; *) [ ! -f "$file" ] || cp "$file" /tmp/staithe-apt/ ;; esac; done \
 && printf '%s\n' 'Dir::Etc::SourceList "/dev/null";' 'Dir::Etc::SourceParts "/tmp/staithe-apt";' >/etc/apt/apt.conf.d/99staithe \
 && /opt/staithe/bin/staithe-sbom begin \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      chromium fonts-dejavu-core \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && rm -r /tmp/staithe-apt /etc/apt/apt.conf.d/99staithe \
 && /opt/staithe/bin/staithe-sbom record browser

FROM system AS staithe-jupyter
COPY lib.sh /staithe-build/
COPY jupyter.lock make-jupyter /staithe-build/
RUN PIP_INDEX_URL='http://mirror.test/simple?it'\''s=so' \
    /staithe-build/make-jupyter

FROM system AS staithe-vscode
COPY lib.sh /staithe-build/
COPY node.lock vscode.lock make-vscode /staithe-build/
RUN PIP_INDEX_URL='http://mirror.test/simple?it'\''s=so' \
    npm_config_registry='http://mirror.test/npm' \
    VSCODE_VERSION=4.112.0 \
    VSCODE_KIND=sha512 \
    VSCODE_HEX=b326342728208be0b3ddfbdd4bc7cbcf486fc791de374e6a24faa533b4133426c718232041c1fdb5d4bb2f2b5a3304b9b1bb118977d1645f57656497b7399ae1 \
    /staithe-build/make-vscode

FROM system AS deps
COPY --from=staithe-jupyter /staithe-root/ /
COPY --from=staithe-vscode /staithe-root/ /

FROM deps AS final
RUN ["/bin/sh", "-ec", "/opt/staithe/bin/staithe-sbom begin\nmkdir /tmp/staithe-apt\nfor file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do case \"${file##*/}\" in sources.list | debian.sources | ubuntu.sources) [ ! -f \"$file\" ] || sed -E 's|https?://[^/ ]+|http://mirror.test/a\\|b\\&c|' \"$file\" >\"/tmp/staithe-apt/${file##*/}\" ;; *) [ ! -f \"$file\" ] || cp \"$file\" /tmp/staithe-apt/ ;; esac; done\nprintf '%s\\n' 'Dir::Etc::SourceList \"/dev/null\";' 'Dir::Etc::SourceParts \"/tmp/staithe-apt\";' >/etc/apt/apt.conf.d/99staithe\nexport PIP_INDEX_URL='http://mirror.test/simple?it'\\''s=so'\nexport npm_config_registry='http://mirror.test/npm'\n/bin/sh -ec \"$1\"\nrm -r /tmp/staithe-apt /etc/apt/apt.conf.d/99staithe\n/opt/staithe/bin/staithe-sbom record extra", "extra", "pip list"]
