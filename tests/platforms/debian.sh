#!/usr/bin/env bash
# debian.sh RELEASE ARCHITECTURE FOLDER PACKAGE...: Debian's packages and what they depend on, of any release and architecture, unpacked into FOLDER, beside
# the system and not into it. On Debian, whose mirror and keys it takes.
set -euo pipefail
release=$1 architecture=$2 folder=$3
shift 3
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | sed -n 1p) || true
if [ -z "$mirror" ] && command -v apt-get >/dev/null; then # a new machine, whose apt has not looked at its mirror yet
    apt-get -qq update || true
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
fi
[ -n "$mirror" ] && [ -e "$keys" ] || { echo "$0: it needs Debian: apt-get, one of Debian's mirrors in its sources, and $keys"; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,cache}/partial "$work/parts" "$folder"
: >"$work/status"
echo "deb [signed-by=$keys] $mirror $release main" >"$work/sources.list"
cat >"$work/apt.conf" <<CONF
APT::Architecture "$architecture";
APT::Architectures "$architecture";
APT::Sandbox::User "$(id -un)";
Acquire::Retries "3";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/parts";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -qq update
apt-get -qq --yes --no-install-recommends --download-only install "$@" </dev/null >/dev/null
for package in "$work"/cache/archives/*.deb; do
    dpkg -x "$package" "$folder"
done
