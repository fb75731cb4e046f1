# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM debian:12 AS system
COPY bin/ /opt/staithe/bin/

FROM system AS deps

FROM deps AS final
