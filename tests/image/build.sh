#!/bin/sh
# Builds the Dockerfile without an engine or a registry, into DIRECTORY: storage/ and what the checks beside it read,
# image.json (its configuration), rootfs (its files), base (those it is built on) and machine (a Debian with systemd).
#
# The base is Debian with the oldest Python that is supported; it is kept between runs. The wheels are fetched before
# the build, for every platform, so that the build itself needs no network and pip is configured as on this machine.
set -eu
cd "$(dirname "$0")/../.."
work=${1:?usage: build.sh DIRECTORY}
[ "$(id -u)" = 0 ] || { echo "debootstrap and buildah's chroot need root." >&2; exit 1; }
mkdir -p "$work"
work=$(realpath "$work")

builder() {
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

# What the lock file pins can be had without a compiler, for both platforms, on both Pythons.
image_python=$(sed -n 's/^ARG PYTHON_IMAGE=.*python:\(3\.[0-9]*\).*/\1/p' Dockerfile)
for python in 3.11 "$image_python"; do
    for machine in x86_64 aarch64; do
        .venv/bin/pip download --quiet --require-hashes --no-deps --only-binary :all: --python-version "$python" \
            --platform "manylinux2014_$machine" --platform "manylinux_2_17_$machine" \
            --platform "manylinux_2_28_$machine" -r requirements.lock -d "$work/wheels/$python-$machine"
    done
done
printf '[install]\nno-index = true\nfind-links = /wheels\n' >"$work/pip.conf"

if ! builder inspect --type image base >"$work/base.json" 2>/dev/null; then
    container=$(builder from scratch)
    root=$(builder mount "$container")
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" >"$work/debootstrap.log"
    rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    builder commit --quiet "$container" base
fi
builder rm --all >/dev/null

builder bud --quiet --isolation chroot --format docker --pull-never --tag bybit-exporter \
    --build-arg PYTHON_IMAGE=localhost/base --build-arg VERSION=0.0.0-test \
    --build-arg REVISION="${BYBIT_EXPORTER_REVISION:?}" --build-arg CREATED="$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    --volume "$work/wheels/3.11-$(uname -m):/wheels:ro" --volume "$work/pip.conf:/etc/pip.conf:ro" .
builder rmi --prune >/dev/null
builder inspect --type image bybit-exporter >"$work/image.json"
ln -sfn "$(builder mount "$(builder from base)")" "$work/base"
ln -sfn "$(builder mount "$(builder from --pull-never bybit-exporter)")" "$work/rootfs"

# A machine with systemd and the installed exporter, for check_systemd.py.
machine=$work/machine
if [ ! -e "$machine/usr/bin/systemctl" ]; then
    rm -rf "$machine"
    cp -a "$work/base/." "$machine"
    chroot "$machine" sh -c 'apt-get update && apt-get install -y --no-install-recommends systemd' \
        >"$work/systemd.log" 2>&1
fi
rm -rf "$machine/opt/bybit-exporter" "$machine/etc/bybit-exporter"
cp -a "$work/rootfs/opt/bybit-exporter" "$machine/opt/"
cp deploy/systemd/bybit-exporter.service "$machine/etc/systemd/system/"
