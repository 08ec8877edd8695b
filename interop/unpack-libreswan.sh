#!/bin/sh
# Unpack Debian's libreswan into build/libreswan: its package conflicts with strongSwan's, so only
# the libraries it needs get installed. Does nothing where that is done already.
set -eu

directory=build/libreswan
repository=$(dirname "$0")/..
cd "$repository"
mkdir -p "$directory"

package=$(find "$directory" -maxdepth 1 -name 'libreswan_*.deb')
if [ -z "$package" ]; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq
    fi
    # As root apt would download as a user of its own, who cannot write here.
    if ! (cd "$directory" && apt-get download -qq -o APT::Sandbox::User=root libreswan); then
        echo "cannot download Debian's libreswan (apt-get download libreswan, in $directory)" >&2
        exit 1
    fi
    package=$(find "$directory" -maxdepth 1 -name 'libreswan_*.deb')
fi

# "libldns3 (>= 1.7.1), a | b" to names, of libraries and of certutil's package.
libraries=$(dpkg-deb --field "$package" Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ ]*\).*/\1/p')
# shellcheck disable=SC2086
sh interop/install-packages.sh $libraries

if [ ! -x "$directory/usr/libexec/ipsec/pluto" ]; then
    dpkg-deb --extract "$package" "$directory"
fi
