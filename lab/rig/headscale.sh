# Runs in a network namespace of its own: starts Headscale and a tailscaled for
# each argument, prints an API key once all are up, and ends with its input.
set -eu
trap 'kill 0' EXIT
ip link set lo up
# Without an interface but loopback tailscaled waits for one for ever.
ip link add v0 type veth peer name v1
ip addr add 10.99.0.1/24 dev v0
ip link set v0 up
ip link set v1 up

headscale serve -c config.yaml >headscale.log 2>&1 &
until headscale -c config.yaml users list >/dev/null 2>&1; do sleep 0.1; done
headscale -c config.yaml users create ops >&2
key=$(headscale -c config.yaml preauthkeys create -u 1 --reusable -e 1h | tail -n 1)

export TS_DEBUG_USE_DERP_HTTP=1 TS_NO_LOGS_NO_SUPPORT=true
port=18600
ups=
for m in "$@"; do
	port=$((port + 1))
	tailscaled --tun=userspace-networking --socket="$m.sock" --statedir="$m" --port=$port >"$m.log" 2>&1 &
	echo $! >"$m.pid"
done
for m in "$@"; do
	until [ -S "$m.sock" ]; do sleep 0.1; done
	tailscale --socket="$m.sock" up --login-server=http://127.0.0.1:18080 --auth-key="$key" --hostname="$m" --accept-dns=false --timeout=50s >&2 &
	ups="$ups $!"
done
for u in $ups; do wait "$u"; done
headscale -c config.yaml apikeys create -e 1h | tail -n 1
read -r _ || true
