# Made by Staithe 0.1.0 of busybox:1.36: changes belong into the configuration, not here.

FROM busybox:1.36 AS system
COPY bin/ /opt/staithe/bin/
RUN /opt/staithe/bin/staithe-user root 0 0

FROM system AS deps

FROM deps AS final
