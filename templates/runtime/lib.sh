# shellcheck shell=sh
# What the makers share. Sourced.
set -eu

say() { echo "staithe: $*" >&2; }

die() {
  say "$*"
  exit 1
}

# fetch WHERE FILE: an archive beside this file, or an address.
fetch() {
  case $1 in
    *://*) curl --fail --silent --show-error --location --retry 3 --output "$2" "$1" ;;
    *) cp "/staithe-build/$1" "$2" ;;
  esac
}

# verify FILE KIND HEX: ends everything when the file is another one.
verify() {
  [ "$(wc -c <"$1")" -gt 0 ] || die "$1 is empty"
  is=$("$2sum" "$1")
  is=${is%% *}
  [ "$is" = "$3" ] || die "checksum mismatch: $2 of $1 is $is and should be $3"
}

# The first Python that is new enough.
find_python() {
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      return
    fi
  done
  die "Python 3.10 or newer is needed, and the base's packages have none: choose a newer base image"
}

# ship PATH…: puts it where the image takes it from, at the same path.
ship() {
  for each; do
    mkdir -p "/staithe-root${each%/*}"
    mv "$each" "/staithe-root$each"
  done
}

# record PART: what is on stdin becomes the list of what is in this part.
record() {
  mkdir -p /staithe-root/opt/staithe/sbom
  {
    echo "# ${1#*-} deps"
    LC_ALL=C sort -u
  } >"/staithe-root/opt/staithe/sbom/$1.txt"
}
