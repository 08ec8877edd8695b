#!/bin/sh
# Unpack Debian's libreswan into build/libreswan: its package conflicts with strongSwan's, so only
# the libraries it needs get installed. Does nothing where that is done already.
set -eu

cd "$(dirname "$0")/.."
mkdir -p build

downloaded() {
    find build -maxdepth 1 -name 'libreswan_*.deb'
}

if [ -z "$(downloaded)" ]; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq
    fi
    # As root apt would download as a user of its own, who cannot write here.
    if ! (cd build && apt-get download -qq -o APT::Sandbox::User=root libreswan); then
        echo "cannot download Debian's libreswan; by hand: apt-get download libreswan, in build/" >&2
        exit 1
    fi
fi
package=$(downloaded)

# "libldns3 (>= 1.7.1), a | b" to names, of libraries and of certutil's package.
libraries=$(dpkg-deb --field "$package" Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ ]*\).*/\1/p')
# shellcheck disable=SC2086
sh interop/install-packages.sh $libraries

if [ ! -d build/libreswan ]; then
    rm -rf build/libreswan.part
    dpkg-deb --extract "$package" build/libreswan.part
    mv build/libreswan.part build/libreswan
fi
