#!/bin/sh
# usage: publish.sh VERSION - builds packages named as NVIDIA's in that version and publishes them in a signed
# repository that is laid out as NVIDIA's, below /srv/nvidia. The key is made by the first call.
set -eu
version=$1
here=$(cd "$(dirname "$0")" && pwd)
repository=/srv/nvidia/stable/deb/$(dpkg --print-architecture)
work=$(mktemp -d)
export GNUPGHOME=/srv/nvidia-key
mkdir -p "$repository"

# package NAME DEPENDS
package() {
  mkdir -p "$work/$1/DEBIAN"
  cat > "$work/$1/DEBIAN/control" <<EOF
Package: $1
Version: $version-1
Architecture: $(dpkg --print-architecture)
Maintainer: Molecule <molecule@example.com>
Depends: $2
Description: stand-in for NVIDIA's package of that name
EOF
  dpkg-deb --root-owner-group --build "$work/$1" "$repository" > /dev/null
}

mkdir -p "$work/nvidia-container-toolkit-base/usr/bin" "$work/nvidia-container-toolkit-base/usr/share/stand-in-gpus"
cp "$here/nvidia-ctk" "$work/nvidia-container-toolkit-base/usr/bin"
{ echo '#!/usr/bin/python3'; cat "$here/nvidia_container_runtime.py"; } \
  > "$work/nvidia-container-toolkit-base/usr/bin/nvidia-container-runtime"
chmod 0755 "$work"/nvidia-container-toolkit-base/usr/bin/*
echo "$version" > "$work/nvidia-container-toolkit-base/usr/share/stand-in-gpus/toolkit-version"
package libnvidia-container1 "libc6"
package libnvidia-container-tools "libnvidia-container1 (= $version-1)"
package nvidia-container-toolkit-base "python3"
package nvidia-container-toolkit "nvidia-container-toolkit-base (= $version-1), libnvidia-container-tools (>= $version-1)"
rm -r "$work"

cd "$repository"
for file in *.deb; do
  dpkg-deb --field "$file"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
done > Packages
cat > Release <<EOF
Date: $(date -u -R)
SHA256:
 $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) Packages
EOF
if [ ! -d "$GNUPGHOME" ]; then
  install -d -m 0700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-generate-key 'Molecule <molecule@example.com>' ed25519 sign never
  gpg --batch --armor --export > /srv/nvidia/gpgkey
fi
gpg --batch --yes --clearsign --output InRelease Release
