# Made by Staithe 0.1.0 of debian:12: changes belong into the configuration, not here.

FROM staithe:lock AS final
USER 0:0
RUN ["/bin/sh", "-ec", "/opt/staithe/bin/staithe-sbom begin\n/bin/sh -ec \"$1\"\n/opt/staithe/bin/staithe-sbom record extra", "extra", "id"]
USER 1000:1000
