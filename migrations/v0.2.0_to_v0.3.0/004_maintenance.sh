#!/bin/sh
# rungs: { description: Add thumbnails and their nightly job, requires_restart: [web], timeout: 1m, estimated_duration: 1s, idempotent: true }
set -eu

cron="config/cron.d/home-server"

case "$1" in
  forward)
    mkdir -p data/thumbnails config/cron.d
    chmod 750 data/thumbnails
    # Written beside, then put in its place, so that no reader ever sees half of it.
    cat > "$cron.new" <<CRON
# Nightly at three: make the thumbnails that are missing. Written by ${UPGRADE_STEP}.
0 3 * * * cd "${UPGRADE_ROOT}" && bin/thumbnails
CRON
    chmod 640 "$cron.new"
    mv "$cron.new" "$cron"
    echo "thumbnails are made nightly at three"
    ;;
  backward)
    rm -f "$cron" "$cron.new"
    # rmdir refuses what is not empty: whatever somebody else put there stays.
    [ ! -d config/cron.d ] || rmdir config/cron.d
    [ ! -d data/thumbnails ] || rmdir data/thumbnails
    ;;
  *)
    echo "usage: $0 forward|backward" >&2
    exit 2
    ;;
esac
