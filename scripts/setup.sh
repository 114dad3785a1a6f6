#!/usr/bin/env bash
# Installs what building and running Hadal needs: packages by name from Debian, libchdb from npm into a cache folder.
# Says what it installs, and does nothing where everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(clang libelf-dev zlib1g-dev pkg-config gcc make)
demo_packages=(nginx-light redis-server postgresql python3 python3-redis golang-go)
test_packages=("${demo_packages[@]}" python3-psycopg python3-asyncpg bind9 bind9-dnsutils python3-dnspython python3-gevent
    php8.2-fpm chromium curl wrk iproute2 binutils qemu-system-x86)
# What the services of bench/truth are built with and run in, beside Node, Go and Rust.
truth_packages=(nginx-light redis-server postgresql python3-venv php8.2-fpm php8.2-curl php8.2-redis php8.2-pgsql g++ libcurl4-openssl-dev
    libhiredis-dev libpq-dev openjdk-17-jdk-headless maven)

# libchdb: the engine of the embedded store, pinned by version and checksum.
chdb_version=26.7.3-stable.1
chdb_sha512_x64=5cff7b98caa7739b59a4a432c11f0dedc2d3b073624e61ebdf4a42e66ce8de35a6ba48ca9f62016bad1cd81fe059435cb858ce3235a8a2b408082a81563e70a7
cache=${HADAL_CACHE:-$HOME/.cache/hadal}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# nginx may be there in another flavour, others from elsewhere.
provides() {
    case $1 in
    nginx-light) command -v nginx >/dev/null ;;
    golang-go) command -v go >/dev/null ;;
    postgresql) command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ;;
    binutils) command -v strip >/dev/null ;;
    qemu-system-x86) command -v qemu-system-x86_64 >/dev/null ;;
    *) dpkg -s "$1" >/dev/null 2>&1 || command -v "$1" >/dev/null ;;
    esac
}

install_packages() {
    local missing=()
    for package in "$@"; do
        provides "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || fail "install these by your system's means: ${missing[*]}"
    [ "$(id -u)" = 0 ] || fail "these packages are missing: ${missing[*]}; run 'sudo make setup' once"
    say "installing ${missing[*]}"
    # Debian starts services when it installs them; the demo and the tests start their own.
    local policy=/usr/sbin/policy-rc.d made=no
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        made=yes
    fi
    apt-get update -qq >/dev/null
    local status=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
    [ $made = no ] || rm -f $policy
    [ $status = 0 ] || fail "apt-get could not install ${missing[*]}"
}

need_tool() {
    command -v "$1" >/dev/null || fail "$1 is missing: $2"
}

# Debian's Go is enough for the demo; the tests follow goroutines further than that one tells.
need_newer_go() {
    go version 2>/dev/null | grep -qE ' go1\.(2[2-9]|[3-9][0-9])' || fail "the tests need Go 1.22 or newer: install it"
}

install_chdb() {
    local folder=$cache/libchdb-$chdb_version
    [ -e "$folder/libchdb.so" ] && return
    [ "$(uname -m)" = x86_64 ] || fail "libchdb $chdb_version is pinned for x86_64 only; set HADAL_LIBCHDB to one of your own"
    need_tool npm "install Node.js 20 or newer with npm"
    say "fetching libchdb $chdb_version (178 MB) into $folder"
    local work
    work=$(mktemp -d)
    (cd "$work" && npm pack --silent "@chdb/lib-linux-x64-gnu@$chdb_version" >/dev/null) || fail "npm could not fetch libchdb"
    echo "$chdb_sha512_x64  $(echo "$work"/*.tgz)" | sha512sum --check --quiet || fail "libchdb has a wrong checksum: it is not used"
    tar -xzf "$work"/*.tgz -C "$work" package/libchdb.so
    mkdir -p "$folder"
    mv "$work/package/libchdb.so" "$folder/libchdb.so.part"
    mv "$folder/libchdb.so.part" "$folder/libchdb.so"
    rm -rf "$work"
}

# Debian's kernels of other series, which tests boot in an emulator; not installed.
install_kernels() {
    local kernels=$cache/kernels work series package
    [ -e "$kernels/6.1/vmlinuz" ] && [ -e "$kernels/6.12/vmlinuz" ] && [ -e "$kernels/busybox" ] && return
    command -v apt-get >/dev/null || fail "the tests boot Debian's kernels 6.1 and 6.12: put them at $kernels/6.1/vmlinuz and $kernels/6.12/vmlinuz, and a static busybox at $kernels/busybox"
    work=$(mktemp -d)
    chmod 755 "$work"
    apt-cache show busybox-static >/dev/null 2>&1 || apt-get update -qq >/dev/null
    for series in 6.1 6.12; do
        package=$(apt-cache pkgnames "linux-image-$series." | grep -E -- '-cloud-amd64$' | sort -V | tail -1)
        [ -n "$package" ] || fail "Debian has no kernel $series for the tests"
        say "fetching $package for the tests"
        (cd "$work" && apt-get download -qq "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb "$series") || fail "could not fetch $package"
        mkdir -p "$kernels/$series"
        cp "$work/$series"/boot/vmlinuz-* "$kernels/$series/vmlinuz"
    done
    (cd "$work" && apt-get download -qq busybox-static >/dev/null 2>&1 && dpkg -x busybox-static_*.deb busybox) || fail "could not fetch busybox-static"
    cp "$work/busybox/bin/busybox" "$kernels/busybox"
    rm -rf "$work"
}

# What the demo runs that is not a script; needs its packages.
build_demo() {
    HADAL_CACHE=$cache /usr/bin/python3 demo/demo.py build || fail "the demo's Go service could not be built"
}

case ${1:-build} in
build) install_packages "${build_packages[@]}" ;;
demo)
    install_packages "${build_packages[@]}" "${demo_packages[@]}"
    build_demo
    ;;
test)
    need_newer_go
    install_packages "${build_packages[@]}" "${test_packages[@]}"
    build_demo
    install_kernels
    ;;
truth)
    install_packages "${build_packages[@]}" "${truth_packages[@]}"
    need_tool go "install Go 1.26 or newer"
    ;;
*) fail "usage: setup.sh [build|demo|test|truth]" ;;
esac
need_tool cargo "install Rust 1.95 or newer, with cargo, rustfmt and clippy"
need_tool npm "install Node.js 20 or newer with npm"
install_chdb
