#!/bin/sh
# Unpack Debian 13's user-mode-linux into build/uml, with the C library that it is linked against,
# where Debian's own is older: from 6.11 on it needs a third of the CPU time to start a program.
# Does nothing where that is done already or not needed; where it cannot be done, Debian's serves.
set -eu

release=trixie
wanted=6.11

cd "$(dirname "$0")/.."
here="$PWD/build/uml"

# The path in it is absolute: a tree that has moved gets it anew.
[ -x "$here/linux" ] && "$here/linux" --version >/dev/null 2>&1 && exit 0
own=$(linux.uml --version)
[ "$(printf '%s\n' "$own" "$wanted" | sort -V | head -n 1)" = "$wanted" ] && exit 0

# The mirror that this machine has Debian from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
rm -rf "$here.part"
mkdir -p "$here.part/lists/partial" "$here.part/cache/archives/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" \
    >"$here.part/release.list"
cat >"$here.part/apt.conf" <<END
Dir::Etc::sourcelist "$here.part/release.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$here.part/lists";
Dir::Cache "$here.part/cache";
APT::Sandbox::User "root";
END
export APT_CONFIG="$here.part/apt.conf"
if ! { apt-get update -qq && (cd "$here.part" && apt-get download -qq user-mode-linux libc6); }; then
    rm -rf "$here.part"
    echo "cannot download the user-mode-linux of Debian $release; that of $own does, slowly" >&2
    exit 0
fi
for package in "$here.part"/*.deb; do
    dpkg-deb --extract "$package" "$here.part"
done
rm -rf "$here.part"/*.deb "$here.part/lists" "$here.part/cache"
rm -rf "$here"
mv "$here.part" "$here"

library=$(dirname "$(find "$here" -name libc.so.6)")
cp "$here/usr/bin/linux.uml" "$here/linux.part"
loader=$(basename "$(patchelf --print-interpreter "$here/linux.part")")
patchelf --set-interpreter "$library/$loader" --set-rpath "$library" "$here/linux.part"
mv "$here/linux.part" "$here/linux"
