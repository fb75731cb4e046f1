# Made by Staithe 0.1.0 of scratch: changes belong into the configuration, not here.

FROM scratch AS system
COPY bin/ /opt/staithe/bin/
USER 1000:1000

FROM system AS deps

FROM deps AS final
