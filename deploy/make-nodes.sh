#!/bin/sh
# Makes the folders of a network whose validators one operator runs:
#
#     make-nodes.sh FOLDER COUNT ADDRESS [QCN]
#
# ADDRESS is where the others reach a validator; %d in it stands for its number, from 0:
#     make-nodes.sh nodes 4 'validator-%d:7400'           (compose.yaml)
#     make-nodes.sh nodes 4 'qcn-%d.qcn:7400'             (k8s)
# FOLDER/0 to FOLDER/(COUNT-1) are then one validator each; FOLDER/treasury has the account with
# all money, FOLDER/recovery what belongs offline. Validators of different operators each make
# their own keys instead (docs/operating.md).
#
# The API of each answers to IP addresses, localhost, the names in ADDRESS, and those that
# QCN_API_HOSTS lists, separated by blanks.
set -eu

usage="usage: make-nodes.sh FOLDER COUNT ADDRESS [path of qcn]"
folder=${1:?$usage}
count=${2:?$usage}
address=${3:?$usage}
qcn=${4:-qcn}

umask 077
mkdir "$folder" "$folder/treasury" "$folder/recovery"
passphrase() { head -c 24 /dev/urandom | base64 >"$1"; }

set --
number=0
while [ "$number" -lt "$count" ]; do
    node=$folder/$number
    mkdir "$node"
    passphrase "$node/passphrase"
    for role in consensus transport recovery; do
        "$qcn" key new --role "$role" --out "$node/$role.key" \
            --passphrase-file "$node/passphrase" >/dev/null
    done
    "$qcn" genesis validator --name "validator-$number" \
        --address "$(printf "$address" "$number")" \
        --consensus-key "$node/consensus.key" --transport-key "$node/transport.key" \
        --recovery-key "$node/recovery.key" --passphrase-file "$node/passphrase" --out "$folder/$number.validator.json"
    mkdir "$folder/recovery/$number"
    mv "$node/recovery.key" "$folder/recovery/$number/"
    cp "$node/passphrase" "$folder/recovery/$number/"
    set -- "$@" --validator "$folder/$number.validator.json"
    number=$((number + 1))
done

passphrase "$folder/treasury/passphrase"
"$qcn" account new --out "$folder/treasury/treasury.key" \
    --passphrase-file "$folder/treasury/passphrase"
"$qcn" genesis new --name "${QCN_NETWORK:-testnet}" "$@" \
    --account "$folder/treasury/treasury.key=1000000000000,treasury" --out "$folder/genesis.json"

# The names of all of them for each, since a Kubernetes ConfigMap has one configuration for all.
set --
number=0
while [ "$number" -lt "$count" ]; do
    host=$(printf "$address" "$number")
    host=${host%:*}
    case $host in
        \[*) ;; # An IPv6 address is no name.
        *) set -- "$@" --api-host "$host" ;;
    esac
    number=$((number + 1))
done
for host in ${QCN_API_HOSTS:-}; do
    set -- "$@" --api-host "$host"
done

number=0
while [ "$number" -lt "$count" ]; do
    node=$folder/$number
    cp "$folder/genesis.json" "$node/genesis.json"
    # The API has no authentication: the container's network decides who reaches it.
    "$qcn" node new --listen 0.0.0.0:7400 --api 0.0.0.0:8080 --allow-remote "$@" \
        --passphrase-file "$node/passphrase" --out "$node/node.toml" >/dev/null
    "$qcn" node --config "$node/node.toml" --check
    number=$((number + 1))
done
