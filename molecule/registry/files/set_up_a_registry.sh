#!/bin/sh
# Debian's registry under a name that is not the loopback's, which the engine would trust without a word: over TLS, by a
# CA of its own, for the account `ci` alone.
set -eu
mkdir -p /srv/registry && cd /srv/registry
address=$(hostname -I | cut -d ' ' -f 1)
echo "$address registry.test" >> /etc/hosts

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=the team's CA" -keyout ca.key -out ca.crt
openssl req -newkey rsa:2048 -nodes -subj /CN=registry.test -keyout registry.key -out registry.csr
echo "subjectAltName=DNS:registry.test" > names
openssl x509 -req -days 30 -in registry.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out registry.pem
# The password is s3cr3t-of-the-registry.
# shellcheck disable=SC2016 # the dollars are the hash's
perl -e 'print "ci:", crypt("s3cr3t-of-the-registry", q($2y$05$abcdefghijklmnopqrstuu)), "\n"' > accounts
cat > /etc/docker/registry/config.yml <<'X'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http:
  addr: registry.test:5000
  tls: {certificate: /srv/registry/registry.pem, key: /srv/registry/registry.key}
auth: {htpasswd: {realm: the team, path: /srv/registry/accounts}}
X
# The same images without TLS and without an account.
cat > plain.yml <<'X'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "registry.test:5001"}
X
chown -R docker-registry: /srv/registry
systemctl restart docker-registry
systemd-run --unit plain-registry --uid docker-registry docker-registry serve /srv/registry/plain.yml
mv ca.crt ca.pem
