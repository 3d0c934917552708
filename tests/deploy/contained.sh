#!/bin/bash
# Runs one service of compose.yaml as its container would: its user, a root that is read only, only /tmp to write, no new rights.
# contained.sh STAGE HEALTH COMMAND…   STAGE has etc/ (for /etc/vigie), secrets/, src/ (the project), python/ (an interpreter's home)
# Ends with 0 once HEALTH (a shell line; "" for a command that ends by itself) succeeded and the service stopped when asked.
set -euo pipefail
if [ -z "${CONTAINED:-}" ]; then CONTAINED=1 exec unshare --mount --propagation private -- "$0" "$@"; fi
stage=$1 health=$2; shift 2

mount -t tmpfs none /mnt
mkdir -p /mnt/src /mnt/python /mnt/bin /mnt/etc /mnt/secrets /mnt/home
mount --bind "$VIGIE_SOURCE" /mnt/src
mount --bind "$VIGIE_PYTHON" /mnt/python
if ! setpriv --reuid 10001 --regid 10001 --clear-groups test -x "$VIGIE_PYTHON/bin/python3"; then
  top="/$(echo "$VIGIE_PYTHON" | cut -d/ -f2)"   # a home that is closed to others: here it has nothing but the interpreter
  mount -t tmpfs -o mode=755 none "$top"
  mkdir -p "$VIGIE_PYTHON"
  mount --bind /mnt/python "$VIGIE_PYTHON"
fi
cp -a /etc/. /mnt/etc/
mkdir -p /mnt/etc/vigie
cp "$stage"/etc/* /mnt/etc/vigie/
cp "$stage"/secrets/* /mnt/secrets/
echo "127.0.0.1 localhost database" > /mnt/etc/hosts
mount --bind /mnt/etc /etc
mount -t tmpfs none /run
mkdir /run/secrets
mount --bind /mnt/secrets /run/secrets
site=$(cd /mnt/src/.venv/lib && echo python3.*/site-packages)
printf '#!/bin/sh\nexec %s/bin/python3 "$@"\n' "$VIGIE_PYTHON" > /mnt/bin/python
printf '#!/bin/sh\nexec %s/bin/python3 -c "import sys; from monitor.cli import main; sys.exit(main())" "$@"\n' "$VIGIE_PYTHON" > /mnt/bin/vigie
chmod 755 /mnt/bin/*
mount -t tmpfs -o mode=1777 none /tmp
mount -o remount,ro,bind /mnt/src
mount -o remount,ro,bind /mnt/python
mount -o remount,ro /mnt
mount -o remount,ro,bind /

cd /mnt/home
as_user() {
  setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- \
    env -i PATH=/mnt/bin:/usr/bin:/bin PYTHONPATH="/mnt/src:/mnt/src/.venv/lib/$site" PYTHONDONTWRITEBYTECODE=1 VIGIE_LISTEN="${VIGIE_LISTEN:-}" "$@"
}
as_user touch /mnt/home/x 2>/dev/null && { echo "the root can be written" >&2; exit 9; }
if [ -z "$health" ]; then as_user "$@"; exit $?; fi
as_user "$@" >/tmp/log 2>&1 & service=$!
trap 'cat /tmp/log >&2' EXIT
until [ -s /tmp/log ] && as_user sh -c "$health"; do   # it has said something: it has begun, and hears a signal
  kill -0 $service 2>/dev/null || { wait $service; exit $?; }
  sleep 0.2
  [ $SECONDS -lt 300 ] || { echo "not healthy after 300 s" >&2; kill -KILL $service; exit 8; }
done
pkill -TERM -P $service 2>/dev/null || kill -TERM $service
wait $service
