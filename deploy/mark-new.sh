#!/bin/sh
# Marks the data folder of a validator as that of keys that have never signed anything, before the
# first start of a new network: mark-new.sh node.toml [QCN]
#
# NEVER use it with keys that were in use: the validator would sign twice, which anyone can prove.
# A lost or restored folder needs no mark (docs/operating.md).
set -eu

config=${1:?usage: mark-new.sh node.toml [path of qcn]}
qcn=${2:-qcn}
folder=$(dirname "$config")
data=$(sed -n 's/^data *= *"\(.*\)".*/\1/p' "$config" | head -n 1)
case $data in
"") echo "error: $config names no data folder" >&2; exit 2 ;;
/*) ;;
*) data=$folder/$data ;;
esac
if [ -e "$data/log" ]; then
    echo "error: $data/log exists: these keys may have signed already; start the node as it is" >&2
    exit 1
fi
"$qcn" node --config "$config" --check >/dev/null

# A node that starts without a mark signs nothing, and notes whose folder this is. That note,
# under another name in a folder that is otherwise empty, is the mark. It starts on any free
# ports, so that nothing else on this machine is in the way.
trial=$folder/.mark-new.toml
log=$(mktemp)
sed 's/^listen *=.*/listen = "127.0.0.1:0"/' "$config" >"$trial"
"$qcn" node --config "$trial" 2>"$log" &
node=$!
seconds=0
until [ -e "$data/log/store.id" ]; do
    seconds=$((seconds + 1))
    if [ "$seconds" -gt 30 ] || ! kill -0 "$node" 2>/dev/null; then
        kill "$node" 2>/dev/null || true
        cat "$log" >&2
        rm -f "$log" "$trial"
        exit 1
    fi
    sleep 1
done
kill "$node"
wait "$node" || true
rm -f "$log" "$trial"
mark=$(mktemp "$data/mark.XXXXXX")
cp "$data/log/store.id" "$mark"
rm -rf "$data/log" "$data/archive"
mkdir "$data/log"
mv "$mark" "$data/log/fresh"
sync
echo "$data/log is marked as new; start every node of the network"
