#!/bin/sh
# Build stand-ins for Docker's apt repository, in Docker's layout, with real keys and real signatures: build_repositories.sh DIR
#   DIR/docker           signed by the key that it serves
#   DIR/other_key        the same with another key
#   DIR/wrong_signature  serves the first key, and is signed by the other
#   DIR/company          another repository of the same host, unsigned
#   DIR/fingerprint      the first key's
#   DIR/answers          link to the one that answers the role
# The packages are stubs: their services only sleep.
set -eu

root=$1
export GNUPGHOME="$root/.gnupg"
arch=$(dpkg --print-architecture)
mkdir -m 0700 "$GNUPGHOME"

# stub FOLDER NAME VERSION [SERVICE [DEPENDS]]
stub() {
  package=$(mktemp -d)
  chmod 0755 "$package"
  mkdir "$package/DEBIAN"
  cat >"$package/DEBIAN/control" <<TEXT
Package: $2
Version: $3
Architecture: $arch
Maintainer: nobody <nobody@localhost>
Depends: ${5:-}
Description: a stub
TEXT
  [ -n "${5:-}" ] || sed -i '/^Depends/d' "$package/DEBIAN/control"
  # The program by which the engine's package is known.
  if [ "$2" = docker-ce ]; then
    mkdir -p "$package/usr/bin"
    printf '%s\n' '#!/bin/sh' "echo Docker version ${3#*:}, build a stub" >"$package/usr/bin/dockerd"
    chmod 0755 "$package/usr/bin/dockerd"
  fi
  if [ -n "${4:-}" ]; then
    mkdir -p "$package/lib/systemd/system"
    printf '%s\n' '[Unit]' "Description=A stub of $2" '[Service]' 'ExecStart=/bin/sleep infinity' \
      '[Install]' 'WantedBy=multi-user.target' >"$package/lib/systemd/system/$4.service"
    # As in the real ones.
    printf '%s\n' '#!/bin/sh' 'systemctl daemon-reload' >"$package/DEBIAN/postinst"
    printf '%s\n' '#!/bin/sh' "systemctl disable --quiet --now $4" >"$package/DEBIAN/prerm"
    chmod 0755 "$package/DEBIAN/postinst" "$package/DEBIAN/prerm"
  fi
  dpkg-deb --root-owner-group -Znone --build "$package" "$1" >/dev/null
  rm -r "$package"
}

# suite DISTRIBUTION RELEASE CODENAME: one release, with two versions of the engine
suite() {
  pool="dists/$3/pool/stable/$arch"
  index="dists/$3/stable/binary-$arch"
  mkdir -p "$root/docker/$1/$pool" "$root/docker/$1/$index"
  cd "$root/docker/$1"
  for version in 5:28.5.2 5:29.0.1; do
    stub "$pool" docker-ce "$version-1~$1.$2~$3" docker "containerd.io, docker-ce-cli"
    stub "$pool" docker-ce-cli "$version-1~$1.$2~$3"
  done
  stub "$pool" containerd.io "1.7.28-1~$1.$2~$3" containerd
  stub "$pool" docker-buildx-plugin "0.29.1-1~$1.$2~$3"
  stub "$pool" docker-compose-plugin "2.40.3-1~$1.$2~$3"
  # What a stolen repository would try: to replace a program of the machine, and to come along with the engine.
  stub "$pool" bash "99:1-1"
  stub "$pool" stranger "1-1"
  apt-ftparchive packages "$pool" >"$index/Packages"
  apt-ftparchive -o "APT::FTPArchive::Release::Suite=$3" -o "APT::FTPArchive::Release::Codename=$3" \
    -o "APT::FTPArchive::Release::Origin=Docker" -o "APT::FTPArchive::Release::Label=Docker CE" \
    -o "APT::FTPArchive::Release::Components=stable" -o "APT::FTPArchive::Release::Architectures=$arch" \
    release "dists/$3" >"$root/Release"
  mv "$root/Release" "dists/$3/Release"
}

# sign REPOSITORY KEY: serve the key and sign every release with it
sign() {
  for distribution in "$root/$1"/*; do
    gpg --batch --armor --export "$2" >"$distribution/gpg"
    for release in "$distribution"/dists/*/Release; do
      gpg --batch --yes --local-user "$2" --clearsign --output "${release%Release}InRelease" "$release"
    done
  done
}

# Like Docker's own: a primary key that certifies, and a subkey that signs.
for key in docker other_key; do
  gpg --batch --quiet --passphrase '' --quick-generate-key "$key@localhost" rsa2048 cert never
  gpg --batch --with-colons --list-keys "$key@localhost" | awk -F: '$1 == "fpr" {print $10; exit}' >"$root/$key.fingerprint"
  gpg --batch --quiet --passphrase '' --quick-add-key "$(cat "$root/$key.fingerprint")" rsa2048 sign never
done

suite debian 12 bookworm
suite debian 13 trixie
suite ubuntu 22.04 jammy
suite ubuntu 24.04 noble
suite ubuntu 26.04 resolute
cp -r "$root/docker" "$root/other_key"
cp -r "$root/docker" "$root/wrong_signature"
sign docker docker@localhost
sign other_key other_key@localhost
sign wrong_signature other_key@localhost
for distribution in debian ubuntu; do
  cp "$root/docker/$distribution/gpg" "$root/wrong_signature/$distribution/gpg"
done
mkdir "$root/company"
cd "$root/company"
stub . company-tool 1-1
apt-ftparchive packages . >Packages
ln -s docker "$root/answers"
mv "$root/docker.fingerprint" "$root/fingerprint"
rm -r "$GNUPGHOME" "$root/other_key.fingerprint"
