#!/bin/sh
# Adds this host to a fleet: installs RedFlag's program from the fleet's server, checks it, and enrols the host.
#   sh -s -- TOKEN [--no-service] [--dir FOLDER]
# Everything stands in functions: a script that was cut off on its way does nothing.
set -eu

server='{{.URL}}'
pin='{{.Pin}}'
# PLATFORM SHA256, one a line: what the server carries.
programs='{{range .Programs}}{{.Platform}} {{.SHA256}}
{{end}}'

die() {
	echo "redflag: $*" >&2
	exit 1
}

platform() {
	case $(uname -s) in
	Linux) os=linux ;;
	Darwin) os=darwin ;;
	FreeBSD) os=freebsd ;;
	*) die "this script does not know the system $(uname -s)" ;;
	esac
	case $(uname -m) in
	x86_64 | amd64) echo "$os-amd64" ;;
	aarch64 | arm64) echo "$os-arm64" ;;
	armv6l | armv7l) echo "$os-arm" ;;
	*) die "this script does not know the machine $(uname -m)" ;;
	esac
}

# fetch URL FILE: with the server's key pinned where it has a certificate of its own.
fetch() {
	if command -v curl >/dev/null; then
		if [ -n "$pin" ]; then
			curl -fsSk --pinnedpubkey "$pin" -o "$2" "$1"
		else
			curl -fsSL -o "$2" "$1"
		fi
	elif command -v wget >/dev/null; then
		if [ -n "$pin" ]; then
			wget -q --no-check-certificate --pinnedpubkey="$pin" -O "$2" "$1"
		else
			wget -q -O "$2" "$1"
		fi
	else
		die "needs curl or wget"
	fi
}

sum() {
	if command -v sha256sum >/dev/null; then
		sha256sum "$1" | cut -d' ' -f1
	elif command -v shasum >/dev/null; then
		shasum -a 256 "$1" | cut -d' ' -f1
	elif command -v sha256 >/dev/null; then
		sha256 -q "$1"
	else
		die "needs sha256sum, shasum or sha256"
	fi
}

main() {
	token='' dir=/usr/local/bin service=yes
	while [ $# -gt 0 ]; do
		case $1 in
		--no-service) service=no ;;
		--dir)
			[ $# -gt 1 ] || die "--dir needs a folder"
			dir=$2
			shift
			;;
		-*) die "there is no option $1" ;;
		*) token=$1 ;;
		esac
		shift
	done
	[ -n "$token" ] || die "the token is missing: ... | sh -s -- TOKEN"
	[ "$(id -u)" -eq 0 ] || die "run this as root (| sudo sh -s -- TOKEN)"

	platform=$(platform)
	want=$(printf '%s' "$programs" | while read -r p s; do [ "$p" != "$platform" ] || echo "$s"; done)
	[ -n "$want" ] || die "the server carries no program for $platform.
  Build one (GOOS=${platform%-*} GOARCH=${platform#*-} go build -o redflag-agent_$platform ./cmd/redflag-agent)
  and put it into the folder programs/ in the server's data folder."

	has_service=no
	if [ "$service" = yes ] && { [ -d /run/systemd/system ] || command -v rc-service >/dev/null || [ "$(uname -s)" != Linux ]; }; then
		has_service=yes
	fi

	echo "This host will join the fleet of $server:"
	echo "  1. download the program for $platform from it, and check it against $want"
	echo "  2. install it as $dir/redflag"
	echo "  3. make a key for this host, and enrol it with the token"
	if [ $has_service = yes ]; then
		echo "  4. start the agent, now and with the system (service redflag-agent)"
	fi
	echo "To undo: redflag agent uninstall; redflag agent unenroll; rm $dir/redflag"
	echo

	mkdir -p "$dir"
	tmp=$(mktemp "$dir/.redflag.XXXXXX")
	trap 'rm -f "$tmp"' EXIT
	fetch "$server/install/$platform" "$tmp" || die "the program could not be downloaded"
	got=$(sum "$tmp")
	[ "$got" = "$want" ] || die "the program is damaged: its SHA-256 is $got"
	chmod 755 "$tmp"
	"$tmp" --version >/dev/null || die "the program does not run here; the server was built for another kind of $platform (CGO_ENABLED=0 builds one that runs everywhere)"
	mv -f "$tmp" "$dir/redflag"
	trap - EXIT

	"$dir/redflag" agent enroll {{if .PlainHTTP}}--plain-http {{end}}"$server" "$token"
	if [ $has_service = yes ]; then
		"$dir/redflag" agent install
	else
		echo "No service manager was found or wanted: start the agent yourself with \`$dir/redflag agent run\`."
	fi
}

main "$@"
